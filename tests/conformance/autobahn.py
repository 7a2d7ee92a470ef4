"""Runs the Autobahn test suite's client against our echo servers: ``python -m tests.conformance.autobahn``.

The suite needs Python 2.7 (``AUTOBAHN_PYTHON`` names one, else it is looked for). It is installed from the package
index, pinned, into ``.autobahn`` in the project's folder; nothing else is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FOLDER", "Report", "install", "python27", "run"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = ROOT / ".autobahn"
STYLES = ("listener", "handler")
# Strict: NON-STRICT is no success. INFORMATIONAL cases have no right answer.
GOOD = frozenset({"OK", "INFORMATIONAL"})


@dataclass
class Report:
    """What came out for one server. ``bad``: cases whose behaviour, or whose way to close, was not as it must be."""

    behaviours: Counter[str] = field(default_factory=Counter[str])
    bad: dict[str, str] = field(default_factory=dict[str, str])


def python27() -> str | None:
    """A Python 2.7, None when there is none."""
    candidates = [os.environ.get("AUTOBAHN_PYTHON"), shutil.which("python2.7"), shutil.which("python2")]
    # Version managers keep all interpreters side by side.
    beside = Path(sys.base_prefix).parent
    candidates += [str(path / "bin" / "python2.7") for path in sorted(beside.glob("2.7*"))]
    for candidate in candidates:
        if candidate and _version(candidate) == "2.7":
            return candidate
    return None


def _version(python: str) -> str | None:
    script = "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def install(python: str) -> None:
    """Installs the suite into its folder, unless it is there. Raises CalledProcessError."""
    if (FOLDER / "complete").exists():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(FOLDER), "-r", str(HERE / "autobahn.txt")], check=True)
    # A namespace package in a folder that is no site directory.
    (FOLDER / "zope" / "__init__.py").touch()
    (FOLDER / "complete").touch()


def run(python: str, cases: Sequence[str], styles: Sequence[str] = STYLES) -> dict[str, Report]:
    """Runs ``cases`` ("*", "1.*", ...) against each style of our server."""
    with tempfile.TemporaryDirectory() as scratch, _serving(Path(scratch)) as port:
        spec = {
            "outdir": str(Path(scratch) / "reports"),
            "servers": [
                {"agent": style, "url": f"ws://127.0.0.1:{port}/{style}", "options": {"version": 18}}
                for style in styles
            ],
            "cases": list(cases),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        path = Path(scratch) / "spec.json"
        path.write_text(json.dumps(spec))
        command = [python, str(FOLDER / "bin" / "wstest"), "-m", "fuzzingclient", "-s", str(path)]
        environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
        subprocess.run(command, cwd=scratch, env=environment, check=True, stdout=subprocess.DEVNULL)
        found = json.loads((Path(scratch) / "reports" / "index.json").read_text())
    return {agent: _read(results) for agent, results in found.items()}


def _read(results: dict[str, dict[str, str]]) -> Report:
    report = Report()
    for case, result in results.items():
        behaviour, close = result["behavior"], result["behaviorClose"]
        report.behaviours[behaviour] += 1
        if behaviour not in GOOD or close not in GOOD:
            report.bad[case] = f"{behaviour}, close {close}"
    return report


@contextmanager
def _serving(scratch: Path) -> Iterator[int]:
    script = (
        "import asyncio\n"
        "from framework.net.server import Server\n"
        "from tests.support.chat_app import app\n"
        "async def main():\n"
        "    overrides = {'server.port': 0, 'server.drain_timeout': 0.5}\n"
        "    runtime = app.build(environ={}, overrides=overrides)\n"
        "    async with runtime.running():\n"
        "        server = Server(runtime, runtime.server_settings)\n"
        "        await server.start()\n"
        "        print(server.port, flush=True)\n"
        "        await server.run()\n"
        "from framework.net.loop import run\n"
        "run(main())\n"
    )
    with (scratch / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError((scratch / "server.log").read_text(errors="replace"))
        yield int(line)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.autobahn")
    parser.add_argument("cases", nargs="*", default=["*"], help="such as 1.* or 12.1.1; all unless given")
    parser.add_argument("--style", action="append", choices=STYLES, help="both unless given")
    options = parser.parse_args()
    python = python27()
    if python is None:
        sys.stderr.write("The Autobahn test suite needs Python 2.7: name one by AUTOBAHN_PYTHON.\n")
        return 2
    install(python)
    reports = run(python, options.cases, options.style or STYLES)
    for style, report in reports.items():
        counts = ", ".join(f"{count} {behaviour}" for behaviour, count in sorted(report.behaviours.items()))
        sys.stdout.write(f"{style}: {sum(report.behaviours.values())} cases: {counts}\n")
        for case, what in report.bad.items():
            sys.stdout.write(f"  {case}: {what}\n")
    return 1 if any(report.bad for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
