"""The generated function: what it says, what it calls the handler with, what it closes."""

from __future__ import annotations

import asyncio
import functools
import linecache
import threading
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Struct

from framework import Body, Cookie, Form, Header, Inject, Query, Request
from framework.app.binding import Bound, bind, read_signature
from framework.di import Container, Scope
from framework.errors import BindingError, HTTPError, ValidationError
from framework.http.response import Response, StreamingResponse
from framework.testing import fake_request

pytestmark = pytest.mark.anyio


class Item(Struct):
    name: str
    count: int = 1


class Login(Struct):
    user: str
    roles: list[str] = []


class Service:
    def __init__(self) -> None:
        self.open = True


class App:
    """Called like what the plan calls the app scope."""


class Exits:
    """Called like what the generated code closes."""


def bound(
    handler: Callable[..., Any],
    path_types: Mapping[str, Any] | None = None,
    *,
    container: Container | None = None,
    namespace: Mapping[str, Any] | None = None,
    **options: Any,
) -> Bound:
    container = container or Container()
    signature = read_signature(
        handler,
        where="GET /x",
        path_types=path_types or {},
        provides=container.provides,
        namespace=namespace,
    )
    return bind(signature, where="GET /x", container=container, **options)


def request(
    target: str = "/", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Request:
    """A request with its body at hand; JSON unless the headers say otherwise."""
    fields = dict(headers or {})
    if body is not None:
        fields.setdefault("content-type", "application/json")
        fields["content-length"] = str(len(body))
    made = fake_request("POST", target, fields)
    made.received = body or b""
    return made


async def call(one: Bound, made: Request | None = None) -> Response:
    result = one.call(made or request())
    if one.is_async:
        result = await result
    response = result if one.respond is None else one.respond(result)
    assert isinstance(response, Response)
    return response


async def answer(handler: Callable[..., Any], made: Request | None = None, **options: Any) -> Any:
    """What a handler that returns JSON answers."""
    return msgspec.json.decode((await call(bound(handler, **options), made)).body)


def source(handler: Callable[..., Any], **options: Any) -> str:
    return bound(handler, **options).source


def container_of(*factories: Callable[..., Any], scope: Scope = Scope.REQUEST) -> Container:
    container = Container()
    for factory in factories:
        container.provide(factory, scope=scope)
    return container


class TestSource:
    def test_a_handler_that_takes_nothing_costs_one_call(self) -> None:
        async def handler() -> str:
            return ""

        assert source(handler) == "def bound(request):\n    return _handler()\n"

    def test_a_plain_handler_stays_plain(self) -> None:
        def handler(request: Request) -> str:
            return ""

        assert source(handler) == "def bound(request):\n    return _respond(_handler(request))\n"

    def test_what_is_absent_costs_nothing(self) -> None:
        def handler(q: str) -> str:
            return ""

        text = source(handler)
        for word in ("_raw", "_exits", "cookies", "headers", "await", "_c_"):
            assert word not in text

    def test_a_plain_dependency_is_made_in_line(self) -> None:
        def handler(service: Service) -> str:
            return ""

        text = source(handler, container=container_of(Service))
        assert "_exits" not in text
        assert text.startswith("def bound(request):")


class TestArguments:
    async def test_every_source_and_kind_of_parameter(self) -> None:
        def handler(
            id: int,
            /,
            item: Item,
            q: Annotated[list[int], Query("n")],
            service: Service,
            *,
            x_token: Annotated[str, Header],
            session: Annotated[str, Cookie("sid")],
            request: Request,
            size: int = 10,
        ) -> list[Any]:
            return [id, item.name, q, service.open, x_token, session, request.method, size]

        made = request("/?n=1&n=2", {"x-token": "t", "cookie": "sid=s"}, b'{"name": "tea"}')
        made.params = {"id": 7}
        found = await answer(handler, made, path_types={"id": int}, container=container_of(Service))
        assert found == [7, "tea", [1, 2], True, "t", "s", "POST", 10]

    async def test_parameters_may_be_called_like_what_is_generated(self) -> None:
        def handler(
            request: str,
            _raw: int,
            _query: Annotated[int, Query],
            _exits: Annotated[str, Header("_exits")],
            bound: int,
            _handler: int,
            _respond: int,
            _error: int,
            _decode: Item,
            _d_bound: int = 8,
            _a_request: int = 9,
        ) -> list[Any]:
            texts = [request, _raw, _query, _exits, bound, _handler, _respond, _error]
            return [*texts, _decode.name, _d_bound, _a_request]

        names = ("request", "_raw", "_query", "bound", "_handler", "_respond", "_error")
        query = "&".join(f"{name}={value}" for value, name in enumerate(names))
        made = request(f"/?{query}", {"_exits": "e"}, b'{"name": "tea"}')
        found = await answer(handler, made)
        assert found == ["0", 1, 2, "e", 3, 4, 5, 6, "tea", 8, 9]

    async def test_names_of_dependencies_do_not_meet_those_of_parameters(self) -> None:
        def open_exits() -> Generator[Exits]:
            yield Exits()

        def handler(app: App, exits: Exits, _di_app0: int, _di_exits: int, di: int = 3) -> list[Any]:
            return [type(app).__name__, type(exits).__name__, _di_app0, _di_exits, di]

        container = container_of(App, open_exits)
        found = await answer(handler, request("/?_di_app0=1&_di_exits=2"), container=container)
        assert found == ["App", "Exits", 1, 2, 3]

    async def test_defaults_that_a_request_changes_stay_as_they_are(self) -> None:
        def handler(
            tags: Annotated[list[str], Query] = [],  # noqa: B006
            item: Item = Item("default"),  # noqa: B008
        ) -> list[Any]:
            tags.append("x")
            item.count += 1
            return [tags, item.count]

        one = bound(handler)
        for _ in range(2):
            assert msgspec.json.decode((await call(one)).body) == [["x"], 2]

    async def test_optional_without_default(self) -> None:
        def handler(
            n: int | None,
            agent: Annotated[str | None, Header],
            item: Item | None,
            sid: Annotated[str | None, Cookie],
        ) -> list[Any]:
            return [n, agent, item, sid]

        assert await answer(handler) == [None, None, None, None]
        made = request("/?n=null", {"agent": "a", "cookie": "sid=null"}, b"null")
        with pytest.raises(ValidationError) as caught:
            await answer(handler, made)
        assert [error.pointer for error in caught.value.errors] == ["/n"]

    async def test_an_injection_that_nobody_provides_is_its_default(self) -> None:
        def handler(service: Annotated[Service | None, Inject] = None) -> bool:
            return service is None

        assert await answer(handler) is True
        assert await answer(handler, container=container_of(Service)) is False

    async def test_what_a_partial_fixed_cannot_be_set_by_a_client(self) -> None:
        def handler(a: int, b: int = 2, *, admin: bool, c: int = 3) -> list[Any]:
            return [a, b, admin, c]

        fixed = functools.partial(handler, 1, admin=False)
        assert await answer(fixed, request("/?a=9&b=5&admin=true&c=6")) == [1, 5, False, 6]


class TestHandlers:
    async def test_bound_methods_objects_and_decorated_functions(self) -> None:
        class Controller:
            async def __call__(self, n: int) -> int:
                return n

            async def method(self, n: int) -> int:
                return n

        def plain_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return function(*args, **kwargs)

            return wrapper

        def blocking_wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                coroutine = function(*args, **kwargs)
                try:
                    coroutine.send(None)
                except StopIteration as stop:
                    return stop.value

            return wrapper

        async def waits(n: int) -> int:
            return n

        for handler in (
            Controller(),
            Controller().method,
            functools.partial(waits),
            plain_wrapper(waits),
            blocking_wrapper(waits),
        ):
            assert await answer(handler, request("/?n=4")) == 4

    async def test_a_threaded_handler_leaves_the_loop(self) -> None:
        def handler(*, handler: str) -> bool:
            return threading.current_thread() is threading.main_thread()

        assert await answer(handler, request("/?handler=x"), threaded=True) is False

    @pytest.mark.parametrize("kind", ["coroutine function", "async generator function"])
    def test_threads_are_for_plain_functions(self, kind: str) -> None:
        async def waits() -> None: ...

        async def streams() -> AsyncIterator[str]:
            yield ""

        with pytest.raises(
            BindingError, match=f"GET /x: threaded is for a plain function, and this is a {kind}"
        ):
            bound(waits if kind.startswith("coroutine") else streams, threaded=True)

    async def test_a_stream_is_not_started(self) -> None:
        started = False

        async def handler() -> AsyncIterator[str]:
            nonlocal started
            started = True
            yield ""

        one = bound(handler)
        assert not one.is_async
        response = await call(one)
        assert isinstance(response, StreamingResponse)
        assert not started

    def test_streams_of_what_cannot_be_sent_are_refused_at_build(self) -> None:
        async def handler() -> AsyncIterator[int]:
            yield 1

        with pytest.raises(BindingError, match=r"GET /x: .* its pieces are neither str nor bytes"):
            bound(handler)


class TestBodies:
    async def test_a_media_type_is_refused_before_the_body_is_read(self) -> None:
        def handler(item: Item) -> None: ...

        made = fake_request("POST", "/", {"content-type": "text/plain"}, [b"x"])
        with pytest.raises(HTTPError) as caught:
            await call(bound(handler), made)
        assert caught.value.status == 415
        assert made.source.taken == 0  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("media_type", "body", "status"),
        [
            ("application/json", b'{"name": "a"}', 200),
            ("application/json; charset=utf-8", b'{"name": "a"}', 200),
            ("APPLICATION/JSON", b'{"name": "a"}', 200),
            ("application/vnd.api+json", b'{"name": "a"}', 200),
            ("application/json", b"", 400),
            ("application/json; charset=utf-16", '{"name": "a"}'.encode("utf-16"), 400),
            ("", b'{"name": "a"}', 415),
            ("", b"", 400),
            ("text/plain", b"", 415),
            ("nonsense", b'{"name": "a"}', 415),
        ],
    )
    async def test_media_types(self, media_type: str, body: bytes, status: int) -> None:
        def handler(item: Item) -> None: ...

        made = request("/", {"content-type": media_type}, body)
        try:
            found = (await call(bound(handler, status=200), made)).status
        except HTTPError as error:
            found = error.status
        assert found == (204 if status == 200 else status)

    async def test_a_body_without_media_type(self) -> None:
        def handler(item: Item | None = None) -> bool:
            return item is None

        assert await answer(handler, fake_request("POST", "/")) is True
        made = fake_request("POST", "/", None, [b"{}"])
        with pytest.raises(HTTPError, match="a body without Content-Type"):
            await answer(handler, made)

    async def test_a_body_that_arrives_in_pieces_within_its_limit(self) -> None:
        def handler(item: Item) -> Item:
            return item

        pieces = [b'{"na', b'me": "', b'tea"}']
        fields = {"content-type": "application/json"}
        assert await answer(handler, fake_request("POST", "/", fields, pieces)) == {"name": "tea", "count": 1}
        with pytest.raises(HTTPError) as caught:
            await answer(handler, fake_request("POST", "/", fields, pieces, max_body=8))
        assert caught.value.status == 413

    async def test_a_body_at_hand_within_its_limit(self) -> None:
        def handler(item: Item) -> Item:
            return item

        made = request("/", None, b'{"name": "tea"}')
        made.endpoint.max_body = 5
        with pytest.raises(HTTPError) as caught:
            await answer(handler, made)
        assert caught.value.status == 413

    async def test_unknown_members_as_the_route_wants(self) -> None:
        def handler(item: Item) -> str:
            return item.name

        made = request("/", None, b'{"name": "tea", "nmae": "x"}')
        assert (await call(bound(handler), made)).body == b"tea"
        with pytest.raises(ValidationError) as caught:
            await call(bound(handler, strict_unknown=True), made)
        assert [error.pointer for error in caught.value.errors] == ["/nmae"]

    async def test_forms(self) -> None:
        def handler(form: Annotated[Login, Form]) -> Login:
            return form

        def optional(form: Annotated[Login, Form] = Login("nobody")) -> Login:  # noqa: B008
            return form

        kind = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
        for body, roles in (
            (b"user=a+b", []),
            (b"user=a+b&roles=x", ["x"]),
            (b"user=a+b&roles=x&roles=y", ["x", "y"]),
        ):
            assert await answer(handler, request("/", kind, body)) == {"user": "a b", "roles": roles}
        assert (await answer(handler, request("/", kind, b"user=first&user=second")))["user"] == "first"
        assert (await answer(optional, request()))["user"] == "nobody"
        with pytest.raises(HTTPError, match="415"):
            await answer(handler, request("/", {"content-type": "multipart/form-data"}, b"x"))
        with pytest.raises(ValidationError):
            await answer(handler, request("/", kind, b""))

    async def test_any_json(self) -> None:
        def handler(document: Annotated[Any, Body]) -> Any:
            return document

        assert await answer(handler, request("/", None, b'[1, {"a": null}]')) == [1, {"a": None}]
        with pytest.raises(HTTPError, match="the body is missing"):
            await answer(handler)


class TestTracebacks:
    async def test_the_generated_lines_are_in_tracebacks(self) -> None:
        def handler(q: int) -> str:
            raise LookupError("inside")

        with pytest.raises(LookupError) as caught:
            await call(bound(handler), request("/?q=1"))
        text = "".join(traceback.format_exception(caught.value))
        assert "<binder of GET /x, " in text
        assert "return _respond(_handler(_a_q))" in text

    def test_binding_again_and_again_leaves_nothing_behind(self) -> None:
        async def handler(q: int, service: Service) -> str:
            return ""

        container = container_of(Service)
        bound(handler, container=container)
        before = len(linecache.cache)
        for _ in range(20):
            bound(handler, container=container)
            bound(handler, container=container_of(Service))
        assert len(linecache.cache) == before


class TestCleanUps:
    """Dependencies that need closing live as long as the response."""

    @pytest.fixture
    def log(self) -> list[str]:
        return []

    @pytest.fixture
    def container(self, log: list[str]) -> Container:
        async def service() -> AsyncGenerator[Service]:
            made = Service()
            try:
                yield made
            except BaseException as error:
                log.append(type(error).__name__)
                raise
            else:
                log.append("well")
            finally:
                made.open = False

        return container_of(service)

    async def test_closed_before_a_whole_response_leaves(self, container: Container, log: list[str]) -> None:
        async def handler(service: Service) -> bool:
            return service.open

        assert await answer(handler, container=container) is True
        assert log == ["well"]

    async def test_told_of_the_handlers_error(self, container: Container, log: list[str]) -> None:
        def handler(service: Service) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await call(bound(handler, container=container))
        assert log == ["LookupError"]

    async def test_told_of_a_result_that_makes_no_response(
        self, container: Container, log: list[str]
    ) -> None:
        def handler(service: Service) -> object:
            return object()

        with pytest.raises(Exception, match="makes no response"):
            await call(bound(handler, container=container))
        assert log == ["LocalProtocolError"]

    async def test_told_of_a_cancellation(self, container: Container, log: list[str]) -> None:
        async def handler(service: Service) -> None:
            await asyncio.Event().wait()

        task = asyncio.ensure_future(bound(handler, container=container).call(request()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["CancelledError"]

    async def test_open_while_a_body_is_streamed(self, container: Container, log: list[str]) -> None:
        async def handler(service: Service) -> AsyncIterator[str]:
            yield str(service.open)
            yield str(service.open)

        response = await call(bound(handler, container=container))
        assert isinstance(response, StreamingResponse)
        content: Any = response.content
        assert [piece async for piece in content] == ["True", "True"]
        assert log == []
        await content.aclose()
        await content.aclose()
        assert log == ["well"]

    async def test_a_stream_that_never_starts_is_closed_with_its_dependencies(
        self, container: Container, log: list[str]
    ) -> None:
        async def handler(service: Service) -> AsyncIterator[str]:
            yield ""

        response: Any = await call(bound(handler, container=container))
        await response.content.aclose()
        assert log == ["well"]

    async def test_a_stream_given_up_half_sent(self, container: Container, log: list[str]) -> None:
        async def handler(service: Service) -> AsyncIterator[str]:
            yield "a"
            yield "b"

        response: Any = await call(bound(handler, container=container))
        assert await anext(response.content) == "a"
        await response.content.aclose()
        assert log == ["CancelledError"]

    async def test_a_stream_that_fails(self, container: Container, log: list[str]) -> None:
        async def handler(service: Service) -> AsyncIterator[str]:
            yield "a"
            raise LookupError

        response: Any = await call(bound(handler, container=container))
        with pytest.raises(LookupError):
            async for _ in response.content:
                pass
        await response.content.aclose()
        assert log == ["LookupError"]

    async def test_a_stream_that_cannot_be_closed(self, container: Container, log: list[str]) -> None:
        async def handler(service: Service) -> AsyncIterator[str]:
            try:
                yield "a"
            finally:
                raise LookupError("closing")

        response: Any = await call(bound(handler, container=container))
        assert await anext(response.content) == "a"
        with pytest.raises(LookupError, match="closing"):
            await response.content.aclose()
        assert log == ["LookupError"]

    async def test_a_stream_that_a_middleware_dropped(self, container: Container, log: list[str]) -> None:
        closed: list[Service] = []

        async def handler(service: Service) -> AsyncIterator[str]:
            closed.append(service)
            yield ""

        response: Any = await call(bound(handler, container=container))
        del response
        for _ in range(5):
            await asyncio.sleep(0)
        assert log == ["well"]

    async def test_a_clean_up_that_fails_is_the_requests_failure(self) -> None:
        def service() -> Generator[Service]:
            yield Service()
            raise LookupError("commit")

        def handler(service: Service) -> None: ...

        with pytest.raises(ExceptionGroup) as caught:
            await call(bound(handler, container=container_of(service)))
        assert str(caught.value.exceptions[0]) == "commit"

    async def test_a_thread_is_waited_for_before_what_it_uses_is_closed(
        self, container: Container, log: list[str]
    ) -> None:
        begun, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def handler(service: Service) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
            log.append(f"open: {service.open}")

        task = asyncio.ensure_future(bound(handler, container=container, threaded=True).call(request()))
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["open: True", "CancelledError"]
