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


def test_a_worker_is_run_as_a_program_that_nothing_has_imported(root: Path) -> None:
    """``python -m`` warns of a module that its own package, or what that brings, has imported before."""
    everything = "import framework.app.workers, framework.app.hosting, framework.cli.program"
    assert "framework.net.worker" not in after(root, everything)["modules"]


def test_the_client_is_imported_when_it_is_asked_for(root: Path) -> None:
    assert "framework.net.client" not in after(root, "import framework")["modules"]
    code = "import framework; framework.HTTPClient, framework.connect_websocket"
    assert "framework.net.client" in after(root, code)["modules"]


def test_every_name_that_is_exported_is_there(root: Path) -> None:
    code = "import framework\nassert all(getattr(framework, name) for name in framework.__all__)\n"
    after(root, code + "assert set(framework.__all__) <= set(dir(framework))")
    done = subprocess.run(
        [sys.executable, "-c", "import framework; framework.nothing"],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )
    assert "AttributeError: module 'framework' has no attribute 'nothing'" in done.stderr
