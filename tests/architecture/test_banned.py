"""What a library must not do to the program that uses it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

BANNED = {"print", "input", "breakpoint"}


def banned_calls(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED:
            yield f"{node.lineno}: {node.func.id}"


def test_the_framework_does_not_write_to_the_terminal(root: Path, python_sources: list[Path]) -> None:
    library = [
        path
        for path in python_sources
        if path.is_relative_to(root / "framework") and not path.is_relative_to(root / "framework" / "cli")
    ]
    assert library
    found = [
        f"{path.relative_to(root)}:{call}"
        for path in library
        for call in banned_calls(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_a_banned_call_is_noticed() -> None:
    assert list(banned_calls("x = 1\nprint(x)\nlogger.print(x)")) == ["2: print"]
