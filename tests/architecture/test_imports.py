"""Importing the framework is cheap and does nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# Paid where they are used. What asyncio itself imports is not counted: no server does without it.
HEAVY = ["argon2", "email", "http.client", "sqlite3", "ssl", "structlog", "urllib.request", "uvloop"]

WATCH = """
import json, logging, sys, threading
seen = []
watched = {"socket.__new__", "subprocess.Popen", "sqlite3.connect", "os.fork"}
sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)
"""

REPORT = """
known = [logging.root, *logging.root.manager.loggerDict.values()]
handlers = {each.name: each.handlers for each in known if getattr(each, "handlers", None)}
print(json.dumps({
    "events": seen,
    "threads": [each.name for each in threading.enumerate() if each is not threading.main_thread()],
    "handlers": [name for name, own in handlers.items() if {*map(type, own)} != {logging.NullHandler}],
    "modules": sorted(sys.modules),
}))
"""


def after(root: Path, imports: str) -> dict[str, Any]:
    """What a new interpreter looks like that has run `imports`."""
    code = f"{WATCH}\n{imports}\n{REPORT}"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_the_import_brings_nothing_heavy(root: Path) -> None:
    paid_anyway = set(after(root, "import asyncio")["modules"])
    imported = set(after(root, "import framework")["modules"]) - paid_anyway
    assert sorted(imported & set(HEAVY)) == []


def test_importing_every_module_does_nothing(root: Path) -> None:
    names = [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((root / "framework").rglob("*.py"))
        if path.stem != "__main__"
    ]
    assert "framework.errors" in names
    report = after(root, "\n".join(f"import {name}" for name in names))
    assert report["events"] == []
    assert report["threads"] == []
    assert report["handlers"] == []


def test_a_module_that_does_something_is_noticed(root: Path) -> None:
    report = after(
        root,
        "import socket; socket.socket()\n"
        "threading.Thread(target=threading.Event().wait, daemon=True, name='busy').start()\n"
        "logging.basicConfig()",
    )
    assert report["events"] == ["socket.__new__"]
    assert report["threads"] == ["busy"]
    assert report["handlers"] == ["root"]
