"""One span for each request, current while its handler runs and its body is made."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import Token
from typing import Final, cast

from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from framework.http.request import Request, StateKey
from framework.http.response import STREAM, Response, StreamingResponse
from framework.middleware.chain import Hooks
from framework.middleware.failures import FAILURE
from framework.middleware.observed import ObservedBody, answered
from framework.middleware.trace_context import TRACE, TraceContext
from framework.net.stream import EVENT_STREAM

__all__ = ["RequestSpans"]

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)


class _Live:
    """A span under way, current since ``token`` was given."""

    __slots__ = ("context", "span", "token")

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self.context = context
        self.token: Token[Context] = attach(context)


_LIVE: Final[StateKey[_Live]] = StateKey("tracing.live")


class _Fields(Getter[Request]):
    """Shows a request's fields to a propagator; not a traceparent that came twice, of which it would take the first."""

    def get(self, carrier: Request, key: str) -> list[str] | None:
        values = carrier.headers.get_all(key)
        return None if not values or (key == "traceparent" and len(values) > 1) else values

    def keys(self, carrier: Request) -> list[str]:
        return [name for name, _ in carrier.headers.raw]


class RequestSpans(Hooks):
    """Makes a server span of each request, by the semantic conventions for HTTP; for phase EDGE.

    It is current between the hooks, which run in the Context of the handler. A streamed body belongs to it, and gets no
    span of its own. The query is left out: it may hold secrets.

    Args:
        skip: patterns of routes that have none.
    """

    def __init__(self, tracer: Tracer, skip: Iterable[str] = ()) -> None:
        self._tracer = tracer
        self._skip = frozenset(skip)
        self._getter = _Fields()

    def before(self, request: Request) -> None:
        """Begins the span, in the caller's trace if there is one."""
        route = request.endpoint.pattern
        if route in self._skip:
            return
        parent = self._parent(request)
        method = request.method if request.method in METHODS else "HTTP"
        span = self._tracer.start_span(
            f"{method} {route}" if route else method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes=_attributes(request),
        )
        request[_LIVE] = _Live(span, set_span_in_context(span, parent))
        known = span.get_span_context()
        if known.is_valid and not known.is_remote:  # a remote one is the caller's: nobody makes spans here
            request[TRACE] = TraceContext(
                format_trace_id(known.trace_id),
                format_span_id(known.span_id),
                int(known.trace_flags),
                state=known.trace_state.to_header(),
            )

    def _parent(self, request: Request) -> Context:
        propagator = get_global_textmap()
        if any(request.field(name) is not None for name in propagator.fields):
            return propagator.extract(request, Context(), self._getter)
        return Context()

    def after(self, request: Request, response: Response) -> None:
        """Ends the span; that of a stream goes on until its end."""
        live = request.get(_LIVE)
        if live is None:
            return
        detach(live.token)
        span = live.span
        if span.is_recording():
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                _failed(span, request.get(FAILURE), str(response.status))
        if response.kind == STREAM:
            streamed = cast("StreamingResponse", response)
            streamed.content = _TracedBody(streamed, live)
        else:
            span.end()


class _TracedBody(ObservedBody):
    """A streamed body, made while its request's span is current."""

    __slots__ = ("_live", "_prompt")

    def __init__(self, response: StreamingResponse, live: _Live) -> None:
        super().__init__(response.content)
        self._live = live
        self._prompt = response.media_type == EVENT_STREAM  # whose head goes out ahead of the body

    def enter(self) -> Token[Context]:
        return attach(self._live.context)

    def leave(self, entered: Token[Context]) -> None:
        detach(entered)

    def ended(self, error: BaseException | None) -> None:
        span = self._live.span
        if isinstance(error, Exception) and span.is_recording():
            _failed(span, error, "")
            if not self.begun and not self._prompt:
                span.set_attribute("http.response.status_code", answered(500, error))
        span.end()


def _failed(span: Span, error: BaseException | None, otherwise: str) -> None:
    span.set_status(StatusCode.ERROR)
    if error is None:
        span.set_attribute("error.type", otherwise)
    else:
        kind = type(error)
        span.record_exception(error)
        span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}")


def _attributes(request: Request) -> dict[str, AttributeValue]:
    origin = request.origin
    attributes: dict[str, AttributeValue] = {
        "http.request.method": request.method,
        "url.path": request.raw_path,
        "url.scheme": origin.scheme,
        "network.protocol.version": f"1.{request.minor}",
    }
    if request.method not in METHODS:
        attributes["http.request.method"] = "_OTHER"
        attributes["http.request.method_original"] = request.method
    if request.endpoint.pattern:
        attributes["http.route"] = request.endpoint.pattern
    if origin.client is not None:
        attributes["client.address"] = origin.client.host
    host, port = _split(origin.host)
    if host:
        attributes["server.address"] = host
    if port:
        attributes["server.port"] = int(port)
    agent = request.field("user-agent")
    if agent is not None:
        attributes["user_agent.original"] = agent
    return attributes


def _split(host: str) -> tuple[str, str]:
    """Host and port of what the wire has checked; an IPv6 address stays in its brackets."""
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")
