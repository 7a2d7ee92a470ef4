"""A file is a room one can see across, a function fits a screen."""

from __future__ import annotations

import ast
from pathlib import Path

MAX_FILE_LINES = 420
MAX_FUNCTION_LINES = 80


def long_functions(source: str) -> list[str]:
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {
        f"{node.name} (line {node.lineno})": (node.end_lineno or 0) - node.lineno + 1 for node in functions
    }
    return [f"{name}: {lines} lines" for name, lines in lengths.items() if lines >= MAX_FUNCTION_LINES]


def test_files_are_short(root: Path, python_sources: list[Path]) -> None:
    files = [*python_sources, *sorted((root / "framework").rglob("*.pyx"))]
    lengths = {path.relative_to(root): len(path.read_bytes().splitlines()) for path in files}
    assert lengths
    long = [f"{path}: {lines} lines" for path, lines in lengths.items() if lines >= MAX_FILE_LINES]
    assert not long, "\n".join(long)


def test_functions_are_short(root: Path, python_sources: list[Path]) -> None:
    long = [
        f"{path.relative_to(root)}: {function}"
        for path in python_sources
        for function in long_functions(path.read_text(encoding="utf-8"))
    ]
    assert not long, "\n".join(long)


def test_a_long_function_is_noticed() -> None:
    line = "    x = 1\n"
    longest = "def f():\n" + line * (MAX_FUNCTION_LINES - 2)
    assert long_functions(longest) == []
    assert long_functions(longest + line) == [f"f (line 1): {MAX_FUNCTION_LINES} lines"]
