"""The JavaScript client's own tests, by node's test runner; and its types, where a compiler for them is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STATIC = Path(__file__).resolve().parents[3] / "apps" / "chat" / "static"


def tool(name: str, how: str) -> str:
    """The path of a program; without it the test is skipped, but in CI it fails."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no {name} here ({how})")
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in (HERE / "js").glob("*.test.mjs")))
def test_the_javascript_client(name: str) -> None:
    node = tool("node", "apt-get install nodejs, 20 or newer")
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(HERE / "js" / name)],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# fail 0" in done.stdout
    assert "\n# pass 0" not in done.stdout


def test_every_module_of_the_page_is_a_module() -> None:
    node = tool("node", "apt-get install nodejs, 20 or newer")
    for path in sorted(STATIC.glob("*.js")):
        done = subprocess.run(
            [node, "--input-type=module", "--check"], input=path.read_text(), capture_output=True, text=True
        )
        assert done.returncode == 0, f"{path.name}: {done.stderr}"


@pytest.mark.skipif(shutil.which("tsc") is None, reason="no TypeScript here (npm install -g typescript)")
def test_the_types_of_the_javascript() -> None:
    checks = ["--noEmit", "--allowJs", "--checkJs", "--strict"]
    options = [*checks, "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"]
    files = [str(path) for path in sorted(STATIC.glob("*.js"))]
    done = subprocess.run(
        ["tsc", *options, "--lib", "es2022,dom,dom.iterable", *files], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_text_of_users_never_becomes_markup() -> None:
    """No way from a string to markup or code is used anywhere in the page."""
    for path in sorted(STATIC.glob("*.js")):
        source = path.read_text()
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert way not in source, f"{path.name} uses {way}"


def test_the_page_names_no_other_host() -> None:
    for path in sorted(STATIC.iterdir()):
        source = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in source.replace("https?:\\/\\/", "") or path.suffix in (".js", ".mjs"), path.name
        assert "https://" not in source, path.name
        assert "http://" not in source, path.name
