"""Whatever the framework offers says what it does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import framework

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(name: str) -> bool:
    return not name.startswith("_")


def undocumented(source: str) -> Iterator[str]:
    """The public names of a module that have no docstring: itself, its classes, its functions."""
    module = ast.parse(source)
    if module.body and not ast.get_docstring(module):
        yield "the module"
    for node in module.body:
        if not isinstance(node, Documented) or not public(node.name) or is_overload(node):
            continue
        if not ast.get_docstring(node):
            yield node.name


def is_overload(node: Documented) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def undocumented_methods(owner: type) -> Iterator[str]:
    """The public methods and properties of a class that have no docstring, not even a base class's."""
    for name, value in vars(owner).items():
        is_method = isinstance(value, FunctionType | property | classmethod | staticmethod)
        bases = [vars(base).get(name) for base in owner.__mro__]
        if is_method and public(name) and not any(base.__doc__ for base in bases if base is not None):
            yield f"{owner.__name__}.{name}"


def test_every_public_name_has_a_docstring(root: Path, python_sources: list[Path]) -> None:
    modules = [
        path
        for path in python_sources
        if path.is_relative_to(root / "framework")
        and all(public(part) or part == "__init__" for part in path.relative_to(root).with_suffix("").parts)
    ]
    assert modules
    missing = [
        f"{path.relative_to(root)}: {name}"
        for path in modules
        for name in undocumented(path.read_text(encoding="utf-8"))
    ]
    assert not missing, "\n".join(missing)


def test_every_method_of_what_the_package_exports_has_a_docstring() -> None:
    exported = [getattr(framework, name) for name in getattr(framework, "__all__", [])]
    missing = [name for value in exported if isinstance(value, type) for name in undocumented_methods(value)]
    assert not missing, "\n".join(missing)


def test_an_undocumented_name_is_noticed() -> None:
    source = "class A:\n  def f(self): ...\ndef _h(): ...\n@overload\ndef g(): ...\ndef g():\n  'Does g.'"
    assert list(undocumented(source)) == ["the module", "A"]


def test_an_undocumented_method_is_noticed() -> None:
    class Base:
        def told(self) -> None:
            """Told."""

    class Child(Base):
        def told(self) -> None: ...

        def untold(self) -> None: ...

        @property
        def silent(self) -> int:
            return 1

        def _own(self) -> None: ...

    assert list(undocumented_methods(Child)) == ["Child.untold", "Child.silent"]
