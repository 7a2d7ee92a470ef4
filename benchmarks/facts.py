"""The machine and the software a result was taken on: without them a figure says nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["busy_warning", "machine_facts", "tell"]

ROOT = Path(__file__).resolve().parents[1]


def machine_facts() -> dict[str, Any]:
    """CPU, memory, kernel, Python, commit, time and the load average before the run."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": round(os.getloadavg()[0], 2),
    }


def busy_warning(load_average: float) -> str | None:
    """A line for the reader when something else was running, or None."""
    if load_average < 0.5:
        return None
    return f"the load average was {load_average:.2f} before the run, so something else disturbed the figures"


def tell(document: dict[str, Any], out: Path | None) -> None:
    """Writes a result document to ``out``, or to the standard output."""
    text = json.dumps(document, indent=1) + "\n"
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _commit() -> str:
    """The commit, with "+" after it when tracked files differ from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + ("+" if head and _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
