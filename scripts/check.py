"""Runs the checks and the tests:  scripts/check.py [lint] [types] [layers] [docs] [tests] [pure] [all]

Every step runs, even after one that failed; the last line says which did. `make test`, so CI too, runs `all`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
IN_CI = os.environ.get("CI") == "true"

# What cannot tell the twins apart is tested once.
SAME_WITH_EITHER_TWIN = [
    "tests/architecture",
    "tests/unit/benchmarks",
    "tests/unit/cli",
    "tests/unit/di",
    "tests/unit/plugins/openapi",
    "tests/unit/routing",
]

# The wrapper must neither look for a newer pyright nor for a node of the machine's: both are in the lock.
PYRIGHT = {"PYRIGHT_PYTHON_FORCE_VERSION": version("pyright"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}


class Step(NamedTuple):
    name: str
    command: list[str]
    env: dict[str, str] = {}


def served(twin: str) -> str:
    """A program that fails unless `twin` serves: leaves and core compiled, or all from source."""
    leaves = sorted(ROOT.glob("framework/**/*.pyx"))
    core = [pxd.with_suffix(".py") for pxd in sorted(ROOT.glob("framework/**/*.pxd"))]
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (*(leaves if twin == "compiled" else ()), *(path for path in core if path.exists()))
    ]
    return (
        "from importlib import import_module\n"
        "from framework.wire.leaves import TWIN\n"
        f"assert TWIN == {twin!r}, TWIN\n"
        f"for name in {names!r}:\n"
        "    file = import_module(name).__file__\n"
        f"    assert file.endswith('.py') is {twin != 'compiled'}, file\n"
    )


def are_compiled() -> bool:
    quiet = subprocess.run([PYTHON, "-c", served("compiled")], cwd=ROOT, capture_output=True, check=False)
    return quiet.returncode == 0


def tests() -> list[Step]:
    if not are_compiled() and not IN_CI:
        print("The leaves are not compiled here: the tests run with the pure twin only.", flush=True)
        return []
    return [
        Step("the compiled leaves serve", [PYTHON, "-c", served("compiled")]),
        Step("tests, compiled leaves", [PYTHON, "-m", "pytest", "-q"]),
    ]


def pure() -> list[Step]:
    ignored = [f"--ignore={path}" for path in SAME_WITH_EITHER_TWIN if are_compiled()]
    env = {"FRAMEWORK_PURE": "1"}
    return [
        Step("the pure twin serves", [PYTHON, "-c", served("pure")], env),
        Step("tests, pure twin", [PYTHON, "-m", "pytest", "-q", *ignored], env),
    ]


def steps_of(part: str) -> list[Step]:
    """The steps of one word of the command line."""
    match part:
        case "lint":
            return [
                Step("ruff format", [PYTHON, "-m", "ruff", "format", "--check", "."]),
                Step("ruff check", [PYTHON, "-m", "ruff", "check", "."]),
            ]
        case "types":
            return [
                Step("mypy", [PYTHON, "-m", "mypy"]),
                Step("pyright", [PYTHON, "-m", "pyright", "--pythonpath", PYTHON], PYRIGHT),
            ]
        case "layers":
            return [Step("layers", [str(Path(PYTHON).with_name("lint-imports")), "--no-logo", "--no-cache"])]
        case "docs":
            return [Step("docs", [PYTHON, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", "build/docs"])]
        case "tests":
            return tests()
        case "pure":
            return pure()
        case "all":
            return [
                step
                for each in ("lint", "types", "layers", "docs", "tests", "pure")
                for step in steps_of(each)
            ]
        case _:
            sys.exit(f"no such check: {part!r}\n{__doc__}")


def run(step: Step) -> bool:
    print(f"\n== {step.name}", flush=True)
    start = time.monotonic()
    code = subprocess.run(step.command, cwd=ROOT, env=os.environ | step.env, check=False).returncode
    verdict = "good" if code == 0 else "FAILED"
    print(f"== {step.name}: {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
    return code == 0


def main(parts: list[str]) -> int:
    steps = [step for part in parts or ["all"] for step in steps_of(part)]
    failed = [step.name for step in steps if not run(step)]
    if failed:
        print(f"\nNot good: {', '.join(failed)}.", flush=True)
        return 1
    print(f"\nAll good: {', '.join(step.name for step in steps)}.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
