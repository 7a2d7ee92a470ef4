"""What is committed works on any machine: it names no registry and no folder of a machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

# In pieces, so that this file does not hold what it looks for.
REGISTRIES = [
    "pypi" + ".org",
    "files.pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "deb.debian" + ".org",
]
PLACES = ["/work" + "/main", "/work" + "/shared", "/root" + "/", ".pye" + "nv"]
FOREIGN = re.compile("|".join(re.escape(text) for text in REGISTRIES + PLACES))

LOCK_OPTIONS = re.compile(
    r"https?:|^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", re.MULTILINE
)


def tracked(root: Path) -> list[Path]:
    """The files under version control and those that would be: neither ignored nor deleted."""
    if not shutil.which("git") or not (root / ".git").exists():
        pytest.skip("not a git checkout: what is committed cannot be told from what is not")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


def test_no_registry_and_no_folder_of_a_machine_is_named(root: Path) -> None:
    found = [
        f"{path.relative_to(root)}:{number}: {match.group()}"
        for path in tracked(root)
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if (match := FOREIGN.search(line))
    ]
    assert not found, "\n".join(found)


def test_the_locks_hold_versions_and_hashes_only(root: Path) -> None:
    locks = sorted((root / "requirements").glob("*.txt"))
    assert [lock.name for lock in locks] == ["dev.txt", "lock.txt", "run.txt"]
    for lock in locks:
        text = lock.read_text(encoding="utf-8")
        assert not LOCK_OPTIONS.search(text), lock
        requirements = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
        assert requirements
        assert all(re.match(r"[a-z0-9._-]+==\S+ (; .* )?\\$", each) for each in requirements), lock
        assert text.count("--hash=sha256:") >= len(requirements)


def test_what_runs_is_tested_with_the_same_versions(root: Path) -> None:
    def pins(name: str) -> set[str]:
        text = (root / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9._-]+==[^\s;]+)", text, re.MULTILINE))

    assert pins("run.txt") <= pins("dev.txt")


def test_a_foreign_name_is_noticed() -> None:
    assert FOREIGN.search(f"https://{REGISTRIES[0]}/simple")
    assert LOCK_OPTIONS.search("anyio==4\n--index-url somewhere")
