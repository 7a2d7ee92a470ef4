"""An install succeeds without a C compiler and without Cython: the pure twins are enough."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A small project with this one's setup.py: one leaf, nothing else."""
    package = tmp_path / "framework" / "wire"
    package.mkdir(parents=True)
    (tmp_path / "framework" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "_leaf.pyx").write_text("cdef int answer = 42\n\ndef ask():\n    return answer\n")
    shutil.copy(root / "setup.py", tmp_path)
    return tmp_path


def build(project: Path, *, without: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Runs setup.py as pip does; `without` is a package that cannot be imported."""
    code = (
        "import runpy, sys\n"
        f"sys.modules.update(dict.fromkeys({[without] if without else []}))\n"
        "sys.argv = ['setup.py', 'build_ext', '--inplace']\n"
        "runpy.run_path('setup.py')"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name != "FRAMEWORK_PURE"} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def built(project: Path) -> bool:
    return any(project.rglob("_leaf.*.so"))


def test_a_compiler_that_fails_does_not_fail_the_install(project: Path) -> None:
    result = build(project, CC="false")
    assert result.returncode == 0, result.stderr
    assert not built(project)
    assert 'building extension "framework.wire._leaf" failed' in result.stderr


def test_no_compiler_does_not_fail_the_install(project: Path) -> None:
    result = build(project, CC="no-such-compiler")
    assert result.returncode == 0, result.stderr
    assert not built(project)


def test_no_cython_does_not_fail_the_install(project: Path) -> None:
    result = build(project, without="Cython")
    assert result.returncode == 0, result.stderr
    assert not built(project)
    assert "pure-Python twins" in result.stderr


def test_a_pure_install_can_be_asked_for(project: Path) -> None:
    result = build(project, FRAMEWORK_PURE="1")
    assert result.returncode == 0, result.stderr
    assert not built(project)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here to build with")
def test_the_leaf_is_built_where_there_is_a_compiler(project: Path) -> None:
    result = build(project)
    assert result.returncode == 0, result.stderr
    assert built(project)
