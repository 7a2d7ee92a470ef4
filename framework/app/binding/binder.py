"""Compiles a handler into a function of the request: straight-line code that converts, resolves, calls and encodes."""

from __future__ import annotations

import asyncio
import inspect
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from framework.app.binding.explain import BIND_ERRORS, Missing, explain, read_form
from framework.app.binding.parameters import REQUIRED, Parameter, read_parameters
from framework.app.binding.results import HeldStream, response_maker
from framework.codec import Decoder
from framework.di import Container, Exits, Plan, Scope
from framework.errors import HTTPError
from framework.http.media import is_json
from framework.http.request import Request

__all__ = ["Bound", "bind"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A handler as the server calls it. ``is_async`` false: ``call`` returns the response itself."""

    call: Callable[[Request], Any]
    is_async: bool
    parameters: tuple[Parameter, ...]
    returns: Any
    source: str


def bind(
    handler: Callable[..., Any],
    *,
    where: str,
    path_types: Mapping[str, Any],
    container: Container,
    status: int = 200,
    threaded: bool = False,
    strict_unknown: bool = False,
    namespace: Mapping[str, Any] | None = None,
) -> Bound:
    """Compiles ``handler`` for one route.

    Args:
        where: "GET /users/{id}", for errors and tracebacks.
        path_types: what the pattern's converters make of each parameter.
        threaded: a plain function runs in a worker thread instead of on the loop.
        strict_unknown: members of a JSON body that no type names are errors.

    Raises:
        BindingError: parameters that no request can fill.
        GraphError: dependencies that cannot be made.
    """
    parameters, returns = read_parameters(handler, path_types, container.provides, namespace or {}, where)
    writer = _Writer(handler, parameters, path_types, threaded=threaded, strict_unknown=strict_unknown)
    wanted = [parameter.type for parameter in parameters if parameter.source == "inject"]
    plan = container.plan(wanted, scope=Scope.REQUEST, given={Request: "request"}, label=where)
    writer.env["_respond"] = response_maker(returns, status)
    source = writer.write(plan)
    call = _compile(source, writer.env, where)
    return Bound(call, writer.is_async, tuple(parameters), returns, source)


def _compile(source: str, env: dict[str, Any], where: str) -> Callable[[Request], Any]:
    file = f"<binder of {where}, {id(env):x}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), env)
    call: Callable[[Request], Any] = env["bound"]
    return call


@dataclass(slots=True)
class _Writer:
    handler: Callable[..., Any]
    parameters: list[Parameter]
    path_types: Mapping[str, Any]
    threaded: bool
    strict_unknown: bool
    env: dict[str, Any] = field(default_factory=dict[str, Any])
    is_async: bool = False
    expressions: dict[str, str] = field(default_factory=dict[str, str])
    decoder: Decoder | None = None

    def write(self, plan: Plan) -> str:
        self.env.update(plan.env)
        reading = self._reading()
        call = self._call(plan)
        streams = inspect.isasyncgenfunction(self.handler)
        waits = inspect.iscoroutinefunction(self.handler) or self.threaded
        body = self._body_parameter()
        self.is_async = waits or plan.is_async or plan.needs_exits or body is not None
        result = f"_respond({'await ' if waits and not streams else ''}{call})"
        if plan.needs_exits:
            self.env.update(_di_Exits=Exits, _HeldStream=HeldStream)
            running = _indent(
                [
                    "_exits = _di_Exits()",
                    "try:",
                    *_indent([*plan.lines, f"_response = {result}"]),
                    "except BaseException as _error:",
                    "    await _exits.close(_error)",
                    "    raise",
                    "if _response.kind:",
                    "    _response.content = _HeldStream(_response.content, _exits)",
                    "    return _response",
                    "await _exits.close()",
                    "return _response",
                ]
            )
        else:
            running = _indent([*plan.lines, f"return {result}"])
        head = f"{'async ' if self.is_async else ''}def bound(request):"
        return "\n".join([head, *_indent(reading), *running]) + "\n"

    def _body_parameter(self) -> Parameter | None:
        for parameter in self.parameters:
            if parameter.source in ("body", "form"):
                return parameter
        return None

    # -- reading the request ----------------------------------------------------------------------------------------

    def _reading(self) -> list[str]:
        """Statements that fetch the body and convert every parameter; one failure leads to the full explanation."""
        before: list[str] = []
        lines: list[str] = []
        body = self._body_parameter()
        if body is not None:
            before += self._fetch(body)
        if any(parameter.source == "query" for parameter in self.parameters):
            before.append("_query = request.query")
        for parameter in self.parameters:
            lines += self._convert(parameter)
        if not lines:
            return before
        self.env.update(
            _BIND_ERRORS=BIND_ERRORS,
            _Missing=Missing,
            _explain=partial(explain, tuple(self.parameters), self.decoder),
        )
        raw = "_raw" if body is not None else "b''"
        return [
            *before,
            "try:",
            *_indent(lines),
            "except _BIND_ERRORS as _error:",
            f"    raise _explain(request, {raw}, _error) from None",
        ]

    def _fetch(self, body: Parameter) -> list[str]:
        check = [
            "_type = request.field('content-type')",
            "if _type != 'application/json' and (_raw or _type) and not _is_json(_type or ''):",
            "    raise _unsupported(_type, 'JSON')",
        ]
        if body.source == "form":
            check = [
                "_type = request.field('content-type') or ''",
                "if _raw and _type.partition(';')[0].strip().lower() != 'application/x-www-form-urlencoded':",
                "    raise _unsupported(_type, 'application/x-www-form-urlencoded')",
            ]
        self.env.update(_is_json=is_json, _unsupported=_unsupported)
        return [
            "_raw = request.received",
            "if _raw is None or len(_raw) > request.endpoint.max_body:",
            "    _raw = await request.body()",
            *check,
        ]

    def _convert(self, parameter: Parameter) -> list[str]:
        name, key = f"_a_{parameter.name}", repr(parameter.key)
        self.expressions[parameter.name] = name
        default = f"_d_{parameter.name}"
        if parameter.default is not REQUIRED:
            self.env[default] = parameter.default
        match parameter.source:
            case "request":
                self.expressions[parameter.name] = "request"
                return []
            case "inject":
                return []
            case "path":
                fetched = f"request.params[{key}]"
                if parameter.type in (self.path_types[parameter.key], Any):
                    return [f"{name} = {fetched}"]
                return [f"{name} = {self._conversion(parameter, fetched)}"]
            case "body":
                return self._convert_body(parameter, name, default)
            case "form":
                self.env["_form"] = partial(read_form, parameter)
                return [f"{name} = _form(_raw)"]
            case "query":
                fetched = f"_query.get_all({key})" if parameter.many else f"_query.get({key})"
            case "header":
                fetched = f"request.headers.get_all({key})" if parameter.many else f"request.field({key})"
            case _:
                fetched = f"request.cookies.get({key})"
        absent = f"{name} = {default}" if parameter.default is not REQUIRED else f"raise _Missing({key})"
        lines = [
            f"{name} = {fetched}",
            f"if not {name}:" if parameter.many else f"if {name} is None:",
            f"    {absent}",
        ]
        if parameter.type not in (str, str | None):
            lines += ["else:", f"    {name} = {self._conversion(parameter, name)}"]
        return lines

    def _convert_body(self, parameter: Parameter, name: str, default: str) -> list[str]:
        self.decoder = Decoder(parameter.type, strict_unknown=self.strict_unknown)
        self.env["_decode"] = self.decoder.decode
        if parameter.default is REQUIRED:
            return [f"{name} = _decode(_raw)"]
        return [f"{name} = _decode(_raw) if _raw else {default}"]

    def _conversion(self, parameter: Parameter, expression: str) -> str:
        function = f"_c_{parameter.name}"
        self.env[function] = partial(msgspec.convert, type=parameter.type, strict=False)
        return f"{function}({expression})"

    # -- calling the handler ----------------------------------------------------------------------------------------

    def _call(self, plan: Plan) -> str:
        injected = iter(plan.args)
        arguments: list[str] = []
        for parameter in self.parameters:
            text = next(injected) if parameter.source == "inject" else self.expressions[parameter.name]
            arguments.append(f"{parameter.name}={text}" if parameter.keyword else text)
        if self.threaded:
            self.env["_handler"] = partial(_in_thread, self.handler)
        else:
            self.env["_handler"] = self.handler
        return f"_handler({', '.join(arguments)})"


async def _in_thread(handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # The loop's executor, not anyio's limiter: that one counts a cancelled call as done while its thread runs on.
    return await asyncio.to_thread(handler, *args, **kwargs)


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _unsupported(media_type: str | None, wanted: str) -> HTTPError:
    return HTTPError(415, f"expected {wanted}, not {media_type or 'a body without Content-Type'}")
