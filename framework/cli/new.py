"""``framework new``: a project that runs, and has a test that passes."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from framework.cli.failure import Failure
from framework.cli.paper import say
from framework.cli.version import framework_version

__all__ = ["command"]

_SUFFIX = ".tmpl"


@click.command("new")
@click.argument("name", help="Of the project and its folder; may be a path.")
def command(name: str) -> None:
    """Begin a project: an app, a test of it, a README.

    The folder must not exist, or be empty.
    """
    folder = Path(name)
    project = folder.resolve().name
    package = _package(project)
    if folder.exists() and not folder.is_dir():
        raise Failure(f"{folder} is there already, and is no folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise Failure(f"{folder} is there already, and not empty; choose another name, or empty it")
    words = {"project": project, "package": package, "version": framework_version()}
    try:
        for path, content in _files(files("framework.cli") / "template", folder, words):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {error.filename}: {error.strerror}") from error
    say(f"made {folder}. Next:\n\n  cd {folder}\n  framework run {package}\n  python -m pytest")


def _package(project: str) -> str:
    """The name of the package to import: the project's, with underscores.

    Raises:
        Failure: no module can be called so, or importing it would bring something else.
    """
    package = re.sub(r"[-. ]+", "_", project).lower()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_. -]*", project) or keyword.iskeyword(package):
        raise Failure(
            f"{project!r} cannot name a Python package: use letters, digits, - and _, a letter first"
        )
    if package in sys.stdlib_module_names or package in ("framework", "tests", "test"):
        raise Failure(f"a package {package} would hide another of that name; choose another name")
    return package


def _files(source: Traversable, target: Path, words: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Every file of the template: where it goes, and what is in it."""
    for each in sorted(source.iterdir(), key=lambda one: one.name):
        name = each.name.removesuffix(_SUFFIX).replace("dot_", ".").replace("package", words["package"])
        if each.is_dir():
            yield from _files(each, target / name, words)
        elif each.name.endswith(_SUFFIX):
            yield target / name, Template(each.read_text(encoding="utf-8")).substitute(words)
