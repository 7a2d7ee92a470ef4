"""How long it takes until something runs:  python -m benchmarks.startup [--rounds N] [--out FILE]

``import framework``, timed inside a fresh interpreter, and the users app from the start of its process until it
listens, on a database of its own in a temporary folder. The median of the rounds counts; the first, which fills the
file cache, stores the bytecode and makes the database, does not.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.facts import ROOT, machine_facts, tell
from benchmarks.load.process import free_port, pinned

DEADLINE = 20.0
IMPORT = "import time; began = time.perf_counter(); import framework; print(time.perf_counter() - began)"


def cached() -> dict[str, str]:
    """The environment, but for what keeps Python from storing the bytecode that it makes: nobody serves so."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def import_ms() -> float:
    """Milliseconds of ``import framework``."""
    command = pinned(0, [sys.executable, "-c", IMPORT])
    done = subprocess.run(command, cwd=ROOT, env=cached(), capture_output=True, text=True, check=True)
    return float(done.stdout) * 1e3


def listening_ms(folder: Path) -> float:
    """Milliseconds from the start of the users app's process until it takes a connection.

    Raises:
        RuntimeError: it did not within ``DEADLINE`` seconds.
    """
    port = free_port()
    settings = folder / "settings.toml"
    settings.write_text(f"[server]\nport = {port}\n")
    command = pinned(0, [sys.executable, "-m", "apps.users", str(settings)])
    environment = {**cached(), "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while process.poll() is None and time.perf_counter() - began < DEADLINE:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
            except OSError:
                time.sleep(0.002)
            else:
                return (time.perf_counter() - began) * 1e3
        raise RuntimeError("the users app does not listen")
    finally:
        process.terminate()
        process.wait(DEADLINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    facts = machine_facts()
    imports: list[float] = []
    starts: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(options.rounds + 1):
            imports.append(round(import_ms(), 1))
            starts.append(round(listening_ms(Path(name)), 1))
    summary = {"import_ms": statistics.median(imports[1:]), "users_app_ms": statistics.median(starts[1:])}
    samples = {"import_ms": imports, "users_app_ms": starts}
    settings = {"rounds": options.rounds}
    tell(
        {"kind": "startup", "facts": facts, "settings": settings, "summary": summary, "samples": samples},
        options.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
