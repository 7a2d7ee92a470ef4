"""Compiles a handler into a function of the request: straight-line code that converts, resolves, calls and encodes."""

from __future__ import annotations

import inspect
import linecache
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Final

import msgspec

from framework.app.binding.callee import Kind
from framework.app.binding.explain import BIND_ERRORS, Missing, check_form, check_json, explain, read_form
from framework.app.binding.files import form_opener, take_file
from framework.app.binding.parameters import REQUIRED, Parameter, Signature
from framework.app.binding.results import hold, response_maker
from framework.app.binding.threads import in_thread
from framework.codec import Decoder
from framework.di import Container, Exits, LiveScope, Plan, Scope
from framework.errors import BindingError
from framework.http.request import Request
from framework.http.response import Response

__all__ = ["Bound", "bind"]

_MUTABLE: Final = (list, dict, set, bytearray, msgspec.Struct)


class Bound(msgspec.Struct, frozen=True):
    """A handler as the server calls it.

    Args:
        call: takes the request.
        is_async: ``call`` returns a coroutine, else the result itself.
        source: the generated code.
        respond: makes the response of what ``call`` comes to; None where that is the response already.
    """

    call: Callable[[Request], Any]
    is_async: bool
    source: str
    respond: Callable[[Any], Response] | None = None


def bind(
    signature: Signature,
    *,
    where: str,
    container: Container,
    status: int = 200,
    threaded: bool = False,
    strict_unknown: bool = False,
    respond: Callable[[Any], Response] | None = None,
    connection: Callable[[Request], LiveScope] | None = None,
) -> Bound:
    """Compiles a handler for one route.

    Args:
        where: "GET /users/{id}", for errors and tracebacks.
        status: of the responses made from results.
        threaded: a plain function runs in a worker thread instead of on the loop.
        strict_unknown: members of a JSON body that no type names are errors.
        respond: makes responses of results, in place of what the handler's annotations say.
        connection: the connection scope of a request, where there is one.

    Raises:
        BindingError: a thread for what is no plain function, or a result that makes no response.
        GraphError: dependencies that cannot be made.
    """
    kind = signature.callee.kind
    if threaded and kind is not Kind.PLAIN:
        raise BindingError(f"{where}: threaded is for a plain function, and this is a {kind.value}")
    if any(parameter.source == "socket" for parameter in signature.parameters):
        raise BindingError(f"{where}: only a route of App.websocket has a WebSocket")
    plan = container.plan(
        signature.wanted,
        scope=Scope.REQUEST,
        given={Request: "request"},
        outer=None if connection is None else "_connection(request)",
        label=where,
    )
    if respond is None:
        try:
            respond = response_maker(signature.returns, status, where)
        except BindingError as error:
            raise BindingError(f"{where}: {error}") from error
    writer = _Writer(signature, plan, threaded=threaded, strict_unknown=strict_unknown)
    writer.env.update(_respond=respond, _connection=connection)
    source = writer.write()
    call = _compile(source, writer.env, where)
    return Bound(call, writer.is_async, source, respond if writer.is_direct else None)


def _compile(source: str, env: dict[str, Any], where: str) -> Callable[[Request], Any]:
    file = f"<binder of {where}, {zlib.crc32(source.encode()):08x}>"
    # Tracebacks find the source here; equal sources share an entry, so this grows with the code only.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), env)
    call: Callable[[Request], Any] = env["bound"]
    return call


class _Writer(msgspec.Struct):
    """Writes the function. Names made from parameters begin with ``_a_`` (value), ``_c_`` (conversion), ``_d_``
    (default) and ``_f_`` (file), those of the plan with ``_di``; no other name has such a beginning."""

    signature: Signature
    plan: Plan
    threaded: bool
    strict_unknown: bool
    env: dict[str, Any] = {}
    decoder: Decoder | None = None

    @property
    def is_async(self) -> bool:
        waits = self.signature.callee.kind in (Kind.COROUTINE, Kind.UNSURE) or self.threaded
        return waits or self.plan.is_async or self.needs_exits or self.signature.body is not None

    @property
    def needs_exits(self) -> bool:
        """Something is to be closed after the response: a dependency, or the files of the form."""
        return self.plan.needs_exits or self.signature.takes_files

    @property
    def is_direct(self) -> bool:
        """Nothing awaits between the request and the handler: then no coroutine of ours stands around its own."""
        is_coroutine = self.signature.callee.kind is Kind.COROUTINE and not self.threaded
        return is_coroutine and not self.plan.is_async and not self.needs_exits

    def write(self) -> str:
        self.env.update(self.plan.env)
        reading = self._reading()
        if self.is_direct:
            result = self._result().removeprefix("await ")
            lines = ["def bound(request):", *_indent([*reading, *self.plan.lines, f"return {result}"])]
            if self.signature.body is not None:
                lines += [
                    "async def late(request):",
                    "    await request.body()",
                    "    return await bound(request)",
                ]
            return "\n".join(lines) + "\n"
        lines = [*self.plan.lines, f"_response = _respond({self._result()})"]
        if self.needs_exits:
            self.env.update(_di_Exits=Exits, _hold=hold)
            if self.signature.takes_files:
                reading, lines = [], [*reading, *lines]
            running = [
                "_exits = _di_Exits()",
                "try:",
                *_indent(lines),
                "except BaseException as _error:",
                "    await _exits.close(_error)",
                "    raise",
                "if _response.kind:",
                "    _hold(_response, _exits)",
                "else:",
                "    await _exits.close()",
                "return _response",
            ]
        else:
            running = [*lines[:-1], lines[-1].replace("_response = ", "return ", 1)]
        head = f"{'async ' if self.is_async else ''}def bound(request):"
        return "\n".join([head, *_indent([*reading, *running])]) + "\n"

    # -- reading the request ----------------------------------------------------------------------------------------

    def _reading(self) -> list[str]:
        """Statements that fetch the body and convert every parameter; one failure leads to the full explanation."""
        before: list[str] = []
        lines: list[str] = []
        parameters = self.signature.parameters
        if self.signature.takes_files:
            self.env["_open"] = form_opener(parameters)
            before.append("_raw = await _exits.enter_async(_open(request))")
        elif self.signature.body is not None:
            before += self._fetch(self.signature.body)
        if any(parameter.source == "query" for parameter in parameters):
            before.append("_query = request.query")
        for parameter in parameters:
            lines += self._convert(parameter)
        if not lines:
            return before
        self.env.update(
            _BIND_ERRORS=BIND_ERRORS, _Missing=Missing, _explain=partial(explain, parameters, self.decoder)
        )
        raw = "_raw" if self.signature.body is not None or self.signature.takes_files else "b''"
        return [
            *before,
            "try:",
            *_indent(lines),
            "except _BIND_ERRORS as _error:",
            f"    raise _explain(request, {raw}, _error) from None",
        ]

    def _fetch(self, body: Parameter) -> list[str]:
        """The media type is checked ahead of the body, which may be long and still on its way."""
        is_form = body.source == "form"
        self.env["_check_type"] = check_form if is_form else check_json
        plain = "application/x-www-form-urlencoded" if is_form else "application/json"
        return [
            "_type = request.field('content-type')",
            f"if _type != {plain!r}:",
            "    _check_type(request, _type)",
            "_raw = request.received",
            "if _raw is None or len(_raw) > request.endpoint.max_body:",
            "    return late(request)" if self.is_direct else "    _raw = await request.body()",
        ]

    def _convert(self, parameter: Parameter) -> list[str]:
        name, key = f"_a_{parameter.name}", repr(parameter.key)
        match parameter.source:
            case "path":
                fetched = f"request.params[{key}]"
                if parameter.type in (self.signature.path_types[parameter.key], Any):
                    return [f"{name} = {fetched}"]
                return [f"{name} = {self._conversion(parameter, fetched)}"]
            case "body":
                self.decoder = Decoder(parameter.type, strict_unknown=self.strict_unknown)
                self.env["_decode"] = self.decoder.decode
                return [self._whole(parameter, "_decode(_raw)")]
            case "form":
                self.env["_form"] = partial(read_form, parameter)
                return [self._whole(parameter, "_form(_raw)")]
            case "file":
                self.env[f"_f_{parameter.name}"] = partial(take_file, parameter)
                return [f"{name} = _f_{parameter.name}(_raw)"]
            case "query":
                return self._pick(parameter, f"_query.get{'_all' if parameter.many else ''}({key})")
            case "header":
                one = f"request.field({key})"
                return self._pick(parameter, f"request.headers.get_all({key})" if parameter.many else one)
            case "cookie":
                return self._pick(parameter, f"request.cookies.get({key})")
            case "default":
                return [f"{name} = {self._default(parameter)}"]
            case _:
                return []

    def _whole(self, parameter: Parameter, read: str) -> str:
        """A statement for what is read from all of the body; no body is the default, where there is one."""
        name = f"_a_{parameter.name}"
        if parameter.default is REQUIRED:
            return f"{name} = {read}"
        raw = "_raw.fields" if self.signature.takes_files else "_raw"
        return f"{name} = {read} if {raw} else {self._default(parameter)}"

    def _pick(self, parameter: Parameter, fetched: str) -> list[str]:
        """Statements for what is one text, or several, among others."""
        name = f"_a_{parameter.name}"
        is_given = parameter.default is not REQUIRED
        absent = f"{name} = {self._default(parameter)}" if is_given else f"raise _Missing({parameter.key!r})"
        lines = [
            f"{name} = {fetched}",
            f"if {'not ' if parameter.many else ''}{name}{'' if parameter.many else ' is None'}:",
        ]
        lines.append(f"    {absent}")
        if parameter.type not in (str, str | None, list[str], Any):
            lines += ["else:", f"    {name} = {self._conversion(parameter, name)}"]
        return lines

    def _default(self, parameter: Parameter) -> str:
        """A request that changes its default must not change that of others."""
        name = f"_d_{parameter.name}"
        self.env[name] = parameter.default
        if not isinstance(parameter.default, _MUTABLE):
            return name
        self.env["_copy"] = deepcopy
        return f"_copy({name})"

    def _conversion(self, parameter: Parameter, expression: str) -> str:
        function = f"_c_{parameter.name}"
        self.env[function] = partial(msgspec.convert, type=parameter.type, strict=False)
        return f"{function}({expression})"

    # -- calling the handler ----------------------------------------------------------------------------------------

    def _result(self) -> str:
        """The expression of the handler's result."""
        call = f"_handler({', '.join(self._arguments())})"
        callee = self.signature.callee
        self.env["_handler"] = callee.handler
        if self.threaded:
            self.env["_handler"] = partial(in_thread, callee.handler, not self.needs_exits)
        if self.threaded or callee.kind is Kind.COROUTINE:
            return f"await {call}"
        if callee.kind is Kind.UNSURE:
            self.env["_settled"] = _settled
            return f"await _settled({call})"
        return call

    def _arguments(self) -> list[str]:
        injected = iter(self.plan.args)
        arguments: list[str] = []
        for parameter in self.signature.parameters:
            match parameter.source:
                case "inject":
                    text = next(injected)
                case "request":
                    text = "request"
                case _:
                    text = f"_a_{parameter.name}"
            arguments.append(f"{parameter.name}={text}" if parameter.keyword else text)
        return arguments


async def _settled(result: Any) -> Any:
    """The result of a decorated coroutine function, whether its decorator has awaited it or not."""
    return await result if inspect.isawaitable(result) else result


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
