"""The app as its author sees it, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from framework import (
    App,
    Cookie,
    EventBus,
    Form,
    Handler,
    Header,
    Hooks,
    HTTPError,
    Phase,
    Query,
    Request,
    Response,
    Scope,
    StateKey,
    StreamingResponse,
)
from framework.errors import (
    BindingError,
    CodecError,
    ConfigError,
    DeadlineExceeded,
    GraphError,
    ResourceError,
    RouteConflict,
    SetupError,
)
from framework.middleware import AccessLog, Deadline, RequestId
from framework.testing import TestClient
from tests.support.routing import onion

pytestmark = pytest.mark.anyio


class Item(msgspec.Struct):
    name: Annotated[str, Meta(min_length=2)]
    price: Annotated[float, Meta(gt=0)]
    tags: list[str] = []


class Database:
    pass


class Session:
    def __init__(self, database: Database) -> None:
        self.database = database


class Absent:
    pass


class Service:
    def __init__(self, absent: Absent) -> None: ...


async def test_results_become_responses() -> None:
    app = App()

    @app.get("/text")
    async def text() -> str:
        return "héllo"

    @app.get("/bytes")
    async def raw() -> bytes:
        return b"\x00\x01"

    @app.get("/struct")
    async def struct() -> Item:
        return Item("ab", 1.5)

    @app.get("/dict")
    async def mapping() -> dict[str, int]:
        return {"a": 1}

    @app.get("/nothing")
    async def nothing() -> None:
        return None

    @app.get("/plain")
    def plain() -> str:
        return "sync"

    @app.get("/response")
    async def response() -> Response:
        return Response("made", 202, headers={"x-a": "b"})

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        for i in range(3):
            yield f"line {i}\n"

    async with TestClient(app) as client:
        answer = await client.get("/text")
        assert (answer.status, answer.text, answer.headers["content-type"]) == (
            200,
            "héllo",
            "text/plain; charset=utf-8",
        )
        assert (await client.get("/bytes")).body == b"\x00\x01"
        answer = await client.get("/struct")
        assert answer.json() == {"name": "ab", "price": 1.5, "tags": []}
        assert answer.headers["content-type"] == "application/json"
        assert (await client.get("/dict")).json() == {"a": 1}
        assert (await client.get("/nothing")).status == 204
        assert (await client.get("/plain")).text == "sync"
        answer = await client.get("/response")
        assert (answer.status, answer.text, answer.headers["x-a"]) == (202, "made", "b")
        answer = await client.get("/stream")
        assert (answer.text, answer.headers["transfer-encoding"]) == ("line 0\nline 1\nline 2\n", "chunked")


async def test_parameters_come_from_where_the_signature_says() -> None:
    app = App()

    @app.get("/u/{id:int}/{key:uuid}/{rest:path}")
    async def everything(
        id: int,
        key: UUID,
        rest: str,
        q: str,
        request: Request,
        n: Annotated[int, Meta(ge=1)] = 7,
        many: Annotated[list[int], Query("m")] = [],  # noqa: B006
        agent: Annotated[str | None, Header("user-agent")] = None,
        x_count: Annotated[int, Header] = 0,
        session: Annotated[str, Cookie] = "none",
        *,
        flag: bool = False,
    ) -> dict[str, Any]:
        return {
            "id": id,
            "key": str(key),
            "rest": rest,
            "q": q,
            "n": n,
            "many": many,
            "agent": agent,
            "count": x_count,
            "session": session,
            "flag": flag,
            "method": request.method,
        }

    async with TestClient(app) as client:
        key = "12345678-1234-5678-1234-567812345678"
        answer = await client.get(
            f"/u/5/{key}/a/b?q=%C3%A9&m=1&m=2&flag=true",
            headers={"user-agent": "t", "x-count": "3", "cookie": "session=s1; other=2"},
        )
        assert answer.json() == {
            "id": 5,
            "key": key,
            "rest": "a/b",
            "q": "é",
            "n": 7,
            "many": [1, 2],
            "agent": "t",
            "count": 3,
            "session": "s1",
            "flag": True,
            "method": "GET",
        }


async def test_every_error_of_a_request_at_once() -> None:
    app = App()

    @app.post("/items/{id}")
    async def create(id: int, item: Item, limit: Annotated[int, Meta(le=10)], q: str) -> Item:
        return item

    async with TestClient(app) as client:
        answer = await client.post("/items/x?limit=11", json={"name": "a", "price": -1, "tags": [1]})
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        found = {(error["in"], error["pointer"]) for error in answer.json()["errors"]}
        assert found == {
            ("path", "/id"),
            ("body", "/name"),
            ("body", "/price"),
            ("body", "/tags/0"),
            ("query", "/limit"),
            ("query", "/q"),
        }


async def test_bodies_that_are_no_json_and_other_media_types() -> None:
    app = App()

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    @app.post("/maybe")
    async def maybe(item: Item | None = None) -> str:
        return "none" if item is None else item.name

    async with TestClient(app, settings={"server.max_head": 4096, "server.max_target": 2048}) as client:
        answer = await client.post(
            "/items", content=b'{"name": }', headers={"content-type": "application/json"}
        )
        assert answer.status == 400
        assert "byte 9" in answer.json()["detail"]
        answer = await client.post("/items", content=b"a=b", headers={"content-type": "text/plain"})
        assert answer.status == 415
        assert (await client.post("/items", content=b"{}")).status == 415
        answer = await client.post(
            "/items", content=b"", headers={"content-type": "application/json; charset=utf-8"}
        )
        assert answer.status == 400
        assert (await client.post("/maybe")).text == "none"
        answer = await client.post(
            "/items",
            content=b'{"name":"ab","price":1}',
            headers={"content-type": "application/vnd.api+json; charset=utf-8"},
        )
        assert answer.json()["name"] == "ab"
        assert (await client.get("/" + "a" * 3000)).status == 414
        assert (await client.get("/", headers={"x": "a" * 5000})).status == 431


async def test_forms_and_limits() -> None:
    class Login(msgspec.Struct):
        user: str
        age: int

    app = App(max_body=64)

    @app.post("/login")
    async def login(form: Annotated[Login, Form]) -> str:
        return f"{form.user} {form.age}"

    @app.post("/big", max_body=100_000)
    async def big(request: Request) -> str:
        return str(len(await request.body()))

    async with TestClient(app) as client:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert (await client.post("/login", content=b"user=a+b&age=5", headers=kind)).text == "a b 5"
        answer = await client.post("/login", content=b"user=a&age=x", headers=kind)
        assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/age")
        assert (await client.post("/login", content=b"a=" + b"b" * 100, headers=kind)).status == 413
        assert (await client.post("/big", content=b"b" * 90_000)).text == "90000"


async def test_unknown_members_follow_the_routes_policy() -> None:
    app = App()

    @app.post("/loose")
    async def loose(item: Item) -> str:
        return item.name

    @app.post("/strict", strict_unknown=True)
    async def strict(item: Item) -> str:
        return item.name

    async with TestClient(app) as client:
        body = {"name": "ab", "price": 1, "pirce": 2}
        assert (await client.post("/loose", json=body)).text == "ab"
        answer = await client.post("/strict", json=body)
        assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/pirce")


async def test_methods_head_options_404_405() -> None:
    app = App()

    @app.get("/a")
    async def read() -> str:
        return "abc"

    @app.post("/a")
    async def write() -> str:
        return "w"

    async with TestClient(app) as client:
        answer = await client.head("/a")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "3")
        answer = await client.options("/a")
        assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        answer = await client.delete("/a")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
        assert answer.json()["title"] == "Method Not Allowed"
        answer = await client.get("/b")
        assert (answer.status, answer.json()["status"]) == (404, 404)
        assert (await client.options("*")).status == 204
        assert (await client.request("CONNECT", "example.com:443")).status == 501


async def test_one_canonical_path_for_router_and_policies() -> None:
    app = App()
    seen: list[str] = []

    class Guard(Hooks):
        def before(self, request: Request) -> Response | None:
            seen.append(request.path)
            return Response("no", 403) if request.path.startswith("/admin") else None

    app.use(Guard())

    @app.get("/admin/{what}")
    async def admin(what: str) -> str:
        return what

    @app.get("/files/{name}")
    async def file(name: str) -> str:
        return name

    async with TestClient(app) as client:
        for path in (
            "/admin/x",
            "/%61dmin/x",
            "//admin/x",
            "/./admin/x",
            "/a/../admin/x",
            "/a/%2e%2e/admin/x",
        ):
            assert (await client.get(path)).status == 403, path
        assert (await client.get("/files/a%2Fb")).text == "a/b"
        for path in ("/%00", "/%zz", "/../x", "/%ff"):
            assert (await client.get(path)).status in (400, 404), path
        assert (await client.get("/%00")).status == 400


async def test_internal_errors_show_an_id_and_no_internals(caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError("the password is hunter2")

    async with TestClient(app) as client:
        answer = await client.get("/boom")
        assert answer.status == 500
        assert "hunter2" not in answer.text
        assert answer.json()["request_id"] in caplog.text
        assert "hunter2" in caplog.text


async def test_the_debug_page_is_for_browsers_in_development_only() -> None:
    browser = {"accept": "text/html", "authorization": "Bearer t0ken"}
    app = App(debug=True)

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError("<script>alert(1)</script>")

    async with TestClient(app) as client:
        answer = await client.get("/boom", headers=browser)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "&lt;script&gt;" in answer.text
        assert "<script>" not in answer.text
        assert "t0ken" not in answer.text
        assert (await client.get("/boom")).headers["content-type"] == "application/problem+json"


async def test_errors_find_their_status() -> None:
    class Taken(Exception):
        pass

    app = App()
    raised: dict[str, Exception] = {
        "http": HTTPError(418, "tea", headers={"x-pot": "1"}, type="urn:tea", extensions={"kind": "green"}),
        "deadline": DeadlineExceeded("the query", 1.0),
        "busy": ResourceError("pool", retry_after=2.2),
        "codec": CodecError("bad", 3),
        "taken": Taken(),
    }

    @app.get("/{kind}")
    async def fail(kind: str) -> str:
        raise raised[kind]

    @app.on_error(Taken)
    def render(request: Request, error: Taken) -> Response:
        return Response("taken", 409)

    async with TestClient(app) as client:
        answer = await client.get("/http")
        assert (answer.status, answer.headers["x-pot"]) == (418, "1")
        assert answer.json()["type"] == "urn:tea"
        assert answer.json()["kind"] == "green"
        assert (await client.get("/deadline")).status == 504
        answer = await client.get("/busy")
        assert (answer.status, answer.headers["retry-after"]) == (503, "3")
        assert (await client.get("/codec")).status == 500
        assert (await client.get("/taken")).status == 409


async def test_dependencies_are_injected_and_closed() -> None:
    log: list[str] = []

    async def database() -> AsyncGenerator[Database, None]:
        log.append("open database")
        yield Database()
        log.append("close database")

    async def session(database: Database) -> AsyncGenerator[Session, None]:
        log.append("begin")
        try:
            yield Session(database)
        except Exception:
            log.append("rollback")
            raise
        log.append("commit")

    app = App()
    app.provide(database, scope=Scope.APP)
    app.provide(session)

    @app.get("/ok")
    async def ok(session: Session) -> str:
        return "ok"

    @app.get("/fail")
    async def fail(session: Session) -> str:
        raise HTTPError(400)

    @app.get("/stream")
    async def stream(session: Session) -> AsyncIterator[str]:
        yield "a"
        log.append("still open" if log[-1] == "begin" else "closed too early")
        yield "b"

    async with TestClient(app) as client:
        assert log == ["open database"]
        await client.get("/ok")
        assert log[1:] == ["begin", "commit"]
        await client.get("/fail")
        assert log[3:] == ["begin", "rollback"]
        assert (await client.get("/stream")).text == "ab"
        assert log[5:] == ["begin", "still open", "commit"]
        assert (await client.head("/stream")).status == 200
        assert log[8:] == ["begin", "commit"]
    assert log[-1] == "close database"


async def test_an_override_reaches_a_built_app() -> None:
    class Clock:
        def now(self) -> int:
            return 1

    class Fixed(Clock):
        def now(self) -> int:
            return 42

    app = App()
    app.provide(Clock)

    @app.get("/")
    async def now(clock: Clock) -> int:
        return clock.now()

    async with TestClient(app) as client:
        assert (await client.get("/")).json() == 1
        with app.container.override(Clock, Fixed):
            assert (await client.get("/")).json() == 42
        assert (await client.get("/")).json() == 1


async def test_onions_run_inside_hooks_and_both_in_phase_order() -> None:
    log: list[str] = []

    class Look(Hooks):
        def __init__(self, name: str) -> None:
            self.name = name

        def before(self, request: Request) -> None:
            log.append(f"{self.name} before")

        def after(self, request: Request, response: Response) -> None:
            log.append(f"{self.name} after {response.status}")

    app = App()
    app.use(onion(log, "content"), Phase.CONTENT)
    app.use(Look("policy"), Phase.POLICY)
    app.use(Look("edge"), Phase.EDGE)
    app.use(onion(log, "traffic"), Phase.TRAFFIC)
    skipped = onion(log, "skipped")
    app.use(skipped)
    group = app.group("/g", middleware=[onion(log, "group")])

    @group.get("/x", middleware=[onion(log, "route")], skip=[skipped])
    async def handler() -> str:
        log.append("handler")
        raise HTTPError(400)

    async with TestClient(app) as client:
        assert (await client.get("/g/x")).status == 400
    assert log == [
        "edge before",
        "policy before",
        "traffic in",
        "group in",
        "content in",
        "route in",
        "handler",
        "route out",
        "content out",
        "group out",
        "traffic out",
        "policy after 400",
        "edge after 400",
    ]


async def test_next_called_twice() -> None:
    """Row 7: an onion that calls the handler twice is told so, and the handler runs once."""
    runs = 0

    def twice(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            await handler(request)
            return await handler(request)

        return around

    app = App()
    app.use(twice)

    @app.get("/")
    async def count() -> str:
        nonlocal runs
        runs += 1
        return "x"

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert runs == 1


async def test_an_exception_in_an_outer_layer_hides_the_inner_one(caplog: pytest.LogCaptureFixture) -> None:
    """Row 7: both errors are in the log."""

    def clumsy(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            try:
                return await handler(request)
            finally:
                raise ValueError("outer fault")

        return around

    app = App()
    app.use(clumsy)

    @app.get("/")
    async def fail() -> str:
        raise KeyError("inner fault")

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "outer fault" in caplog.text
    assert "inner fault" in caplog.text


async def test_cost_grows_per_request_instead_of_at_start_up() -> None:
    """Row 7: a middleware is called once when the app is built, never again."""
    composed = 0

    def counted(handler: Handler) -> Handler:
        nonlocal composed
        composed += 1
        return handler

    app = App()
    app.use(counted)

    @app.get("/")
    async def hello() -> str:
        return "x"

    async with TestClient(app) as client:
        at_start = composed
        for _ in range(5):
            await client.get("/")
    assert composed == at_start


async def test_short_circuit_by_onion_and_by_hook() -> None:
    class Closed(Hooks):
        def before(self, request: Request) -> Response | None:
            return Response("maintenance", 503) if request.path == "/hook" else None

    def deny(handler: Handler) -> Handler:
        async def around(request: Request) -> Response:
            return Response("denied", 403)

        return around

    app = App()
    app.use(Closed())
    reached: list[str] = []

    @app.get("/hook")
    async def hook() -> str:
        reached.append("hook")
        return ""

    @app.get("/onion", middleware=[deny])
    async def onion() -> str:
        reached.append("onion")
        return ""

    async with TestClient(app) as client:
        assert (await client.get("/hook")).status == 503
        assert (await client.get("/onion")).status == 403
    assert reached == []


async def test_request_ids_and_deadlines() -> None:
    app = App()
    app.use(RequestId(trust_client=True), Phase.EDGE)

    @app.get("/id")
    async def id_of(request: Request) -> str:
        return request.id

    @app.get("/slow", middleware=[Deadline(0.01)])
    async def slow() -> str:
        await asyncio.Event().wait()
        return "never"

    async with TestClient(app) as client:
        answer = await client.get("/id", headers={"x-request-id": "abc-1"})
        assert (answer.text, answer.headers["x-request-id"]) == ("abc-1", "abc-1")
        answer = await client.get("/id", headers={"x-request-id": "bad id\x7f".replace("\x7f", "!")})
        assert answer.text != "bad id!"
        assert len(answer.text) == 32
        answer = await client.get("/missing")
        assert (answer.status, "x-request-id" in answer.headers) == (404, True)
        assert (await client.get("/slow")).status == 504


async def test_the_access_log_names_the_route_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    app = App()
    app.use(AccessLog(), Phase.EDGE)

    @app.get("/users/{id:int}")
    async def user(id: int) -> int:
        return id

    async with TestClient(app) as client:
        await client.get("/users/7?token=secret")
    line = capsys.readouterr().out
    assert "/users/{id:int}" in line
    assert "secret" not in line


async def test_hosts_mounts_and_lifespans() -> None:
    log: list[str] = []
    user_key: StateKey[str] = StateKey("user")

    @asynccontextmanager
    async def life(app: App) -> AsyncIterator[None]:
        log.append("inner up")
        yield
        log.append("inner down")

    inner = App()
    inner.lifespan(life)

    class Mark(Hooks):
        def before(self, request: Request) -> None:
            request[user_key] = "marked"

    inner.use(Mark())

    @inner.get("/who")
    async def who(request: Request) -> str:
        return request[user_key]

    @inner.on_error(KeyError)
    def render(request: Request, error: KeyError) -> Response:
        return Response("inner error", 499)

    @inner.get("/fail")
    async def fail() -> str:
        raise KeyError

    app = App()
    app.mount("/inner", inner)

    @app.host("{tenant}.example.com").get("/")
    async def tenant(tenant: str) -> str:
        return tenant

    @app.get("/who")
    async def outer(request: Request) -> str:
        return str(request.get(user_key))

    async with TestClient(app) as client:
        assert log == ["inner up"]
        assert (await client.get("/inner/who")).text == "marked"
        assert (await client.get("/who")).text == "None"
        assert (await client.get("/inner/fail")).text == "inner error"
        assert (await client.get("/", headers={"host": "acme.example.com:80"})).text == "acme"
        assert (await client.get("/", headers={"host": "example.org"})).status == 404
    assert log == ["inner up", "inner down"]


def test_urls_are_made_from_handlers() -> None:
    app = App()
    inner = App()

    @inner.get("/users/{id:int}/{name}", name="user")
    async def user(id: int, name: str) -> str:
        return ""

    app.mount("/api", inner)
    assert app.url(user, id=5, name="a/b") == "/api/users/5/a%2Fb"
    assert app.url("user", id=5, name="ü") == "/api/users/5/%C3%BC"
    for wrong in ({"id": 5}, {"id": "x", "name": "a"}, {"id": 5, "name": "a", "more": 1}):
        with pytest.raises(CodecError):
            app.url(user, **wrong)
    with pytest.raises(CodecError, match="no route"):
        app.url("nobody")


async def test_events_are_injected_and_started() -> None:
    class Signed(msgspec.Struct):
        name: str

    heard: list[str] = []
    app = App()
    app.events.on(Signed, lambda event: heard.append(event.name))

    @app.post("/sign/{name}")
    async def sign(name: str, events: EventBus) -> None:
        await events.emit(Signed(name))

    async with TestClient(app) as client:
        assert (await client.post("/sign/ann")).status == 204
    assert heard == ["ann"]


async def test_streams_and_background_work() -> None:
    done = asyncio.Event()
    app = App()

    async def later(name: str) -> None:
        if name == "x":
            done.set()

    @app.get("/")
    async def hello(request: Request) -> StreamingResponse:
        request.background(later, "x")

        async def pieces() -> AsyncIterator[bytes]:
            yield b"12345"

        return StreamingResponse(pieces(), length=5, media_type="text/plain")

    async with TestClient(app) as client:
        answer = await client.get("/")
        assert (answer.body, answer.headers["content-length"]) == (b"12345", "5")
        await asyncio.wait_for(done.wait(), 5)


async def test_threaded_handlers_leave_the_loop_alone() -> None:
    import threading

    app = App()

    @app.get("/", threaded=True)
    def where() -> str:
        return str(threading.current_thread() is threading.main_thread())

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "False"


class TestBuildErrors:
    def test_all_unbindable_parameters_are_named(self) -> None:
        app = App()

        class Unknown:
            pass

        @app.get("/{id}")
        async def one(ident: Unknown, *args: int) -> None: ...

        @app.post("/two")
        async def two(a: Item, b: Item) -> None: ...

        with pytest.raises(BindingError) as caught:
            app.build(environ={})
        text = str(caught.value)
        assert "GET /{id}" in text
        assert "Unknown" in text
        assert "*args" in text
        assert "a and b both want the body" in text

    def test_missing_dependencies_are_drawn(self) -> None:
        app = App()
        app.provide(Service)

        @app.get("/")
        async def handler(service: Service) -> None: ...

        with pytest.raises(GraphError, match=r"Service -> .*Absent"):
            app.build(environ={})

    def test_route_conflicts(self) -> None:
        app = App()

        @app.get("/a/{x}")
        async def one(x: str) -> None: ...

        @app.get("/a/{y}")
        async def two(y: str) -> None: ...

        with pytest.raises(RouteConflict, match=r"/a/{y}.*claims the requests of.*/a/{x}"):
            app.build(environ={})

    def test_wrong_settings_name_key_and_origin(self) -> None:
        with pytest.raises(ConfigError, match=r"FRAMEWORK_SERVER__PROT; did you mean FRAMEWORK_SERVER__PORT"):
            App().build(environ={"FRAMEWORK_SERVER__PROT": "1"})

    def test_middleware_must_be_middleware(self) -> None:
        with pytest.raises(SetupError, match="install an instance"):
            App().use(AccessLog)  # type: ignore[arg-type]
        with pytest.raises(SetupError, match="no middleware"):
            App().use(5)  # type: ignore[arg-type]


def test_module_global_state_two_apps_in_one_process_share_it() -> None:
    """Row 1: what one app is told, the other does not know."""
    one, two = App(), App()

    @one.get("/only-one")
    async def handler() -> str:
        return ""

    one.provide(Database)
    one.on_error(KeyError, lambda request, error: Response())
    assert not two.records
    assert not two.container.provides(Database)
    assert one.build(environ={}).listing[0]["pattern"] == "/only-one"
    assert two.build(environ={}).listing == ()
