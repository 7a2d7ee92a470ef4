"""Writes the straight-line code that makes objects. The needs it is given have been checked."""

from __future__ import annotations

import linecache
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from framework.di.cell import Cell
from framework.di.exits import Exits
from framework.di.graph import View
from framework.di.key import Key, name_of, slug
from framework.di.provider import Kind, Provider
from framework.di.scope import Scope

__all__ = ["Builder", "Plan", "compile_builder", "write_plan"]


class Builder(msgspec.Struct, frozen=True):
    """Makes one object: ``make(live scope, exits)``, the latter used only if ``needs_exits``."""

    make: Callable[[Any, Exits], Awaitable[Any]]
    needs_exits: bool


_STATEMENTS = {
    Kind.CALL: "{name} = {call}",
    Kind.COROUTINE: "{name} = await {call}",
    Kind.GENERATOR: "{name} = _exits.enter({call})",
    Kind.ASYNC_GENERATOR: "{name} = await _exits.enter_async({call})",
}


class Plan(msgspec.Struct, frozen=True):
    """Code for a caller to embed in a function it generates.

    Args:
        lines: statements without indentation; they may await.
        names: for each key needed, an expression valid after ``lines``.
        args: the same expressions in the order of the needs: a transient asked for twice is two objects.
        env: the globals of ``lines``. Names are unique within one plan only: give each plan its own globals.
        is_async: whether ``lines`` await.
        needs_exits: whether ``lines`` push clean-ups on a local ``_exits``: made before them by
            ``_di_Exits()``, closed after them whether they end or raise.
    """

    lines: list[str] = []
    names: dict[Key, str] = {}
    args: list[str] = []
    env: dict[str, object] = {}
    is_async: bool = False
    needs_exits: bool = False


def write_plan(
    view: View,
    needs: Sequence[Key],
    given: Mapping[Key, str],
    *,
    cell: Callable[[Key], Cell],
    outer: str | None,
    app: object | None,
) -> Plan:
    """The plan of ``needs``, for which ``view`` has been checked.

    Args:
        given: the expressions of the keys at hand.
        cell: where the object of an app-scoped key is.
        outer: the expression of the live connection scope, if there is one.
        app: the live app scope once started: asked at run time for what an override took out of its cell.
    """
    writer = _PlanWriter(view, given, cell, outer, app)
    args = [writer.need(key) for key in needs]
    names = dict(zip(needs, args, strict=True))
    return Plan(writer.lines, names, args, writer.env, writer.is_async, writer.needs_exits)


def compile_builder(view: View, key: Key) -> Builder:
    """Compiles what makes the object of ``key``; it asks the live scope for all that others may share."""
    writer = _BuilderWriter(view, key)
    result = writer.need(key)
    body = "".join(f"    {line}\n" for line in [*writer.lines, f"return {result}"])
    source = f"async def build(_scope, _exits):\n{body}"
    file = f"<framework.di builder of {name_of(key)}, {zlib.crc32(source.encode()):08x}>"
    # Tracebacks find the source here; equal sources share an entry, so this grows with the code only.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space: dict[str, Any] = dict(writer.env)
    exec(compile(source, file, "exec"), space)
    return Builder(space["build"], writer.needs_exits)


class _Argument(msgspec.Struct):
    """``text`` when it is known already, else the key to make; ``prefix`` is ``name=`` or nothing."""

    prefix: str
    key: Key
    text: str | None = None


class _Call(msgspec.Struct):
    """A provider whose arguments are being written; ``pending`` is reversed."""

    provider: Provider
    prefix: str
    pending: list[_Argument]
    written: list[str] = []


class _Writer:
    """Writes one statement for each object, arguments first. Subclasses say what need not be made."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.lines: list[str] = []
        self.env: dict[str, object] = {}
        self.is_async = False
        self.needs_exits = False
        self._shared: dict[Key, str] = {}
        self._sources: dict[Key, str] = {}

    def need(self, key: Key) -> str:
        """Writes what it takes to have ``key`` and returns the expression of it."""
        chosen = self.view.choose(key, self.view.scope)
        return "None" if chosen is None else self._expression(chosen)

    def _expression(self, key: Key) -> str:
        """Without recursion, so that any depth will do."""
        existing = self._existing(key)
        if existing is not None:
            return existing
        calls = [self._call(_Argument("", key))]
        while True:
            call = calls[-1]
            if call.pending:
                argument = call.pending.pop()
                text = argument.text or self._existing(argument.key)
                if text is None:
                    calls.append(self._call(argument))
                else:
                    call.written.append(argument.prefix + text)
                continue
            name = self._statement(calls.pop())
            if not calls:
                return name
            calls[-1].written.append(call.prefix + name)

    def _existing(self, key: Key) -> str | None:
        if key in self._shared:
            return self._shared[key]
        provider = self.view.graph.providers.get(key)
        if provider is not None and provider.kind is Kind.VALUE:
            text: str | None = self._constant("value", key, provider.source)
        else:
            text = self._found(key, provider)
        if text is not None:
            self._shared[key] = text
        return text

    def _found(self, key: Key, provider: Provider | None) -> str | None:
        """The expression of a shared object that exists elsewhere; None when it is to be made here."""
        raise NotImplementedError

    def _call(self, argument: _Argument) -> _Call:
        provider = self.view.graph.providers[argument.key]
        return _Call(provider, argument.prefix, self._arguments(provider)[::-1])

    def _arguments(self, provider: Provider) -> list[_Argument]:
        """By position up to the first parameter left to its default, by name from there."""
        arguments: list[_Argument] = []
        by_name = False
        for dependency in provider.dependencies:
            by_name = by_name or dependency.keyword_only
            prefix = f"{dependency.parameter}=" if by_name and not dependency.positional_only else ""
            key = self.view.choose(dependency.key, self.view.scope, has_default=dependency.has_default)
            if key is not None:
                arguments.append(_Argument(prefix, key))
            elif not dependency.has_default:
                arguments.append(_Argument(prefix, key, "None"))
            elif dependency.positional_only:
                default = self._constant("default", dependency.key, dependency.default)
                arguments.append(_Argument("", key, default))
            else:
                by_name = True
        return arguments

    def _statement(self, call: _Call) -> str:
        provider = call.provider
        if provider.key not in self._sources:
            self._sources[provider.key] = self._constant("make", provider.key, provider.source)
        name = self._local(provider.key)
        text = f"{self._sources[provider.key]}({', '.join(call.written)})"
        self._write(_STATEMENTS[provider.kind].format(name=name, call=text))
        if provider.kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR):
            self.needs_exits = True
            self.env["_di_Exits"] = Exits
        if provider.scope is not Scope.TRANSIENT:
            self._shared[provider.key] = name
        return name

    def _ask(self, scope: str, key: Key) -> str:
        """Has the object from a live scope, which shares it."""
        name = self._local(key)
        self._write(f"{name} = await {scope}.get({self._constant('key', key, key)})")
        return name

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self.is_async = self.is_async or " = await " in line

    def _local(self, key: Key) -> str:
        return f"_di_{slug(key)}{len(self.lines)}"

    def _constant(self, use: str, key: Key, value: object) -> str:
        name = f"_di{len(self.env)}_{use}_{slug(key)}"
        self.env[name] = value
        return name


class _PlanWriter(_Writer):
    def __init__(
        self,
        view: View,
        given: Mapping[Key, str],
        cell: Callable[[Key], Cell],
        outer: str | None,
        app: object | None,
    ) -> None:
        super().__init__(view)
        self._shared.update(given)
        self._cell = cell
        self._outer = outer
        self._app = app

    def _found(self, key: Key, provider: Provider | None) -> str | None:
        scope = provider.scope if provider is not None else self.view.graph.expected[key]
        if scope is Scope.APP:
            cell = self._cell(key)
            if cell.is_full or self._app is None:
                return self._constant("app", key, cell) + ".value"
            self.env["_di_app"] = self._app
            return self._ask("_di_app", key)
        if scope is Scope.CONNECTION and self._outer is not None:
            return self._ask(self._outer, key)
        return None


class _BuilderWriter(_Writer):
    def __init__(self, view: View, root: Key) -> None:
        super().__init__(view)
        self._root = root

    def _found(self, key: Key, provider: Provider | None) -> str | None:
        is_made_here = provider is not None and (key == self._root or provider.scope is Scope.TRANSIENT)
        if is_made_here and not self.view.is_handed_in(key, self.view.scope):
            return None
        return self._ask("_scope", key)
