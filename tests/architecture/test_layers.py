"""The contracts of .importlinter hold, and each of them notices what it is there for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs import-linter over the packages in `folder`, not over the installed ones."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_go_down_only(root: Path) -> None:
    result = lint(root)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("layers", "framework/http/upward.py", "from framework import net"),
        ("layers", "framework/routing/sideways.py", "import framework.di"),
        ("layers", "framework/newroom.py", ""),
        ("layers", "framework/net/typing_only.py", "if TYPE_CHECKING:\n    import framework.app"),
        ("apps", "framework/app/apps_known.py", "import apps"),
        ("wire", "framework/wire/with_loop.py", "import asyncio"),
        ("independent", "framework/di/with_http.py", "import framework.http"),
        ("uvloop", "framework/app/other_door.py", "def run() -> None:\n    import uvloop"),
        ("orjson", "framework/http/other_door.py", "from orjson import dumps"),
        ("cycles", "framework/middleware/cycle_a.py", "import framework.middleware.cycle_b"),
    ],
)
def test_a_breach_is_noticed(root: Path, tmp_path: Path, contract: str, module: str, line: str) -> None:
    for package in ("framework", "apps"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so", "*.c"))
    shutil.copy(root / ".importlinter", tmp_path)
    (tmp_path / "framework/middleware/cycle_b.py").write_text("import framework.middleware.cycle_a\n")
    (tmp_path / module).write_text(f"from typing import TYPE_CHECKING\n{line}\n")
    result = lint(tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert Path(module).stem in result.stdout
