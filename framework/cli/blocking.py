"""A look at the source of handlers for calls that would stop the event loop.

It only reads: names are looked up where the handler would look, nothing is called or imported. What hides behind
another function, or behind an object's methods, is not seen.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, NamedTuple

__all__ = ["Suspect", "blocking_calls"]

_THREAD: Final = "asyncio.to_thread"
_PROCESS: Final = "asyncio.create_subprocess_exec"
_CLIENT: Final = f"an asynchronous client or {_THREAD}"
_RESOLVER: Final = "loop.getaddrinfo"

# What blocks, and what a coroutine takes instead; a plain function can only go to a thread.
_CALLS: Final[Mapping[str, str]] = {
    "time.sleep": "asyncio.sleep",
    "io.open": _THREAD,
    "builtins.input": _THREAD,
    "os.system": "asyncio.create_subprocess_shell",
    "os.popen": "asyncio.create_subprocess_shell",
    "socket.create_connection": "asyncio.open_connection",
    "socket.getaddrinfo": _RESOLVER,
    "socket.gethostbyname": _RESOLVER,
    "sqlite3.connect": _THREAD,
    "smtplib.SMTP": _THREAD,
    "smtplib.SMTP_SSL": _THREAD,
    "subprocess.Popen": _PROCESS,
}
# Of these every function blocks; making one of their objects does not.
_MODULES: Final[Mapping[str, str]] = {
    "requests": _CLIENT,
    "shutil": _THREAD,
    "subprocess": _PROCESS,
    "urllib.request": _CLIENT,
    "urllib3": _CLIENT,
}
# Where a function says it is from, when that is not where people import it from.
_ALIASES: Final[Mapping[str, str]] = {
    "_io.open": "io.open",
    "builtins.open": "io.open",
    "posix.system": "os.system",
    "nt.system": "os.system",
    "_socket.gethostbyname": "socket.gethostbyname",
    "_sqlite3.connect": "sqlite3.connect",
}


class Suspect(NamedTuple):
    """A call in a handler that, as far as its name tells, stops the loop while it lasts."""

    call: str
    instead: str
    file: str
    line: int


def blocking_calls(handler: Callable[..., Any]) -> list[Suspect]:
    """The calls in the body of ``handler`` that are known to block; none for code whose source is not at hand."""
    function = _function_of(handler)
    if function is None:
        return []
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return []
    body = tree.body[0] if tree.body else None
    if not isinstance(body, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    names = _Names(function, body)
    found: list[Suspect] = []
    for call in _calls(body.body):
        instead = names.instead_of(call.func)
        if instead is not None:
            if isinstance(body, ast.FunctionDef):
                instead = "threaded=True"
            line = first + call.lineno - 1
            found.append(Suspect(ast.unparse(call.func), instead, function.__code__.co_filename, line))
    return found


def _function_of(handler: Any) -> FunctionType | None:
    handler = inspect.unwrap(handler)
    while isinstance(handler, functools.partial | MethodType):
        handler = handler.func if isinstance(handler, functools.partial) else handler.__func__
    return handler if isinstance(handler, FunctionType) else None


def _calls(body: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """The calls that the handler itself makes: functions defined within it may run elsewhere."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _calls(ast.iter_child_nodes(node))


class _Names:
    """What the names in a function stand for."""

    def __init__(self, function: FunctionType, body: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._outer = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self._globals = function.__globals__
        self._local = set(function.__code__.co_varnames) | set(function.__code__.co_cellvars)
        self._imported: dict[str, str] = {}
        for node in ast.walk(body):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    self._imported[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                for alias in node.names:
                    self._imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def instead_of(self, called: ast.expr) -> str | None:
        """What to take instead of what is called; None when it is not known to block."""
        meaning = self._meaning(called)
        if meaning is None:
            return None
        if isinstance(meaning, str):
            module, _, name = meaning.rpartition(".")
            is_class = name[:1].isupper()
        else:
            module, name = str(getattr(meaning, "__module__", "")), str(getattr(meaning, "__qualname__", ""))
            is_class = isinstance(meaning, type)
        full = _ALIASES.get(f"{module}.{name}", f"{module}.{name}")
        if full in _CALLS or is_class:
            return _CALLS.get(full)
        return next((text for known, text in _MODULES.items() if f"{module}.".startswith(f"{known}.")), None)

    def _meaning(self, node: ast.expr) -> object:
        """The object that ``node`` names; its dotted name when the function imports it; None when unknown."""
        if isinstance(node, ast.Attribute):
            owner = self._meaning(node.value)
            if isinstance(owner, str):
                return f"{owner}.{node.attr}"
            # Only of modules: an attribute of any other object may be a property, and run code.
            return getattr(owner, node.attr, None) if isinstance(owner, ModuleType) else None
        if not isinstance(node, ast.Name):
            return None
        if node.id in self._imported:
            return self._imported[node.id]
        if node.id in self._local:
            return None
        if node.id in self._outer:
            return _content(self._outer[node.id])
        return self._globals.get(node.id, getattr(builtins, node.id, None))


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None
