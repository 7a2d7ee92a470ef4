"""Installs the peers: an environment of their own for Python, ``node_modules`` for node.

Each peer of ``peers.txt`` is installed by itself, so that one which does not build here leaves the rest in place;
the benchmarks report it as absent. Uses pip and npm as they are set up on this machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".venv-bench"
PEERS = HERE / "peers.txt"


def requirements(text: str) -> list[str]:
    """The pins of a requirements file, without comments and empty lines."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def own_dependencies() -> list[str]:
    """What the framework itself imports: some programs run it and a peer in one interpreter."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    dependencies: list[str] = project["dependencies"]
    return dependencies


def install_peers(python: Path) -> list[str]:
    """Returns the requirements that could not be installed."""
    command = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    failed = []
    for requirement in (*own_dependencies(), *requirements(PEERS.read_text())):
        say(requirement)
        if subprocess.run([*command, requirement], check=False).returncode != 0:
            failed.append(requirement)
    # Once more without dependencies: a peer that asks for another version of uvloop than the rest took it along.
    pins = [pin for pin in requirements(PEERS.read_text()) if pin not in failed]
    subprocess.run([*command, "--no-deps", *pins], check=True)
    return failed


def install_node_packages() -> str | None:
    """Returns why node's peers are missing, or None."""
    if shutil.which("npm") is None:
        return "npm is not installed"
    command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=HERE / "load", check=False)
    return None if done.returncode == 0 else "npm failed"


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    failed = install_peers(python)
    for requirement in failed:
        say(f"absent: {requirement} did not install")
    if reason := install_node_packages():
        say(f"absent: node's peers, {reason}")
    for program in ("wrk", "nginx", "haproxy", "taskset", "curl", "redis-server", "psql"):
        if shutil.which(program) is None:
            say(f"absent: {program}, a package of the system")
    return 0


if __name__ == "__main__":
    sys.exit(main())
