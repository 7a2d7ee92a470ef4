"""The build: settings, plugins, dependencies and routes together; repeated, and with everything that can be wrong."""

from __future__ import annotations

import gc
import linecache
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Annotated, Any

import pytest
from msgspec import Struct

from framework import App, Handler, HTTPError, Phase, Request, Response, Runtime, Scope, ServerSettings
from framework.app.built import BuiltRoute
from framework.app.plugin import NoConfig, Setup
from framework.errors import (
    BindingError,
    ConfigError,
    GraphError,
    PluginError,
    RouteConflict,
    SetupError,
)
from framework.testing import TestClient, fake_request
from tests.support.routing import Slug

pytestmark = pytest.mark.anyio


class ShopSettings(Struct, frozen=True):
    currency: str = "EUR"


class Clock:
    def now(self) -> int:
        return 1


class FixedClock(Clock):
    def now(self) -> int:
        return 42


class Mailer: ...


class MailConfig(Struct, frozen=True):
    sender: str = "nobody@example.com"
    retries: int = 3


class OutOfStock(Exception): ...


class MailPlugin:
    """A plugin that contributes one of everything."""

    name = "mail"
    requires: frozenset[str] = frozenset()
    config_type = MailConfig

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = log if log is not None else []
        self.built: list[Sequence[BuiltRoute]] = []

    def setup(self, setup: Setup, config: MailConfig) -> None:
        async def mailer() -> AsyncGenerator[Mailer]:
            self.log.append(f"open {config.sender}")
            yield Mailer()
            self.log.append("close")

        async def send(mailer: Mailer) -> str:
            return config.sender

        async def life(app: App) -> AsyncIterator[None]:
            self.log.append("up")
            try:
                yield
            finally:
                self.log.append("down")

        def render(request: Request, error: OutOfStock) -> Response:
            return Response("mail", 409)

        def onion(handler: Handler) -> Handler:
            async def around(request: Request) -> Response:
                response = await handler(request)
                response.headers.set("x-mail", "1")
                return response

            return around

        setup.provide(mailer, scope=Scope.APP)
        setup.routes("/mail").get("/send")(send)
        setup.lifespan(life)
        setup.on_error(OutOfStock, render)
        setup.use(onion, phase=Phase.TRAFFIC)
        setup.command("queue", lambda: None)
        setup.check("smtp", lambda: None)
        setup.on_built(self.built.append)


def problems(build: Callable[[], object], kind: type[SetupError] = SetupError) -> tuple[str, ...]:
    with pytest.raises(SetupError) as caught:
        build()
    assert type(caught.value) is kind
    return caught.value.problems


async def get(app: App | Runtime, *paths: str) -> list[str]:
    async with TestClient(app) as client:
        return [(await client.get(path)).text for path in paths]


def built(app: App, **overrides: Any) -> Runtime:
    settings = {"server.port": 0, "server.drain_timeout": 1.0, "server.cancel_timeout": 1.0} | overrides
    return app.build(environ={}, overrides=settings)


def full_app() -> App:
    app = App()
    app.provide(Clock)
    app.settings("shop", ShopSettings)
    app.install(MailPlugin())

    @app.get("/")
    async def home(clock: Clock, shop: ShopSettings) -> str:
        return f"{clock.now()} {shop.currency}"

    return app


class TestRepeatedBuilds:
    async def test_one_app_is_built_as_often_as_one_likes(self) -> None:
        app = full_app()
        for _ in range(3):
            assert await get(app, "/", "/mail/send") == ["1 EUR", "nobody@example.com"]

    async def test_each_build_has_its_own_settings(self) -> None:
        app = full_app()
        first = built(app, **{"shop.currency": "CHF", "mail.sender": "a@example.com"})
        assert await get(first, "/", "/mail/send") == ["1 CHF", "a@example.com"]
        second = built(app, **{"shop.currency": "USD"})
        assert await get(second, "/", "/mail/send") == ["1 USD", "nobody@example.com"]
        assert first.settings.section(ShopSettings).currency == "CHF"

    async def test_routes_and_layers_added_between_builds_are_honoured(self) -> None:
        app = full_app()
        assert await get(app, "/later") != ["later"]

        @app.get("/later")
        async def later() -> str:
            return "later"

        def deny(handler: Handler) -> Handler:
            async def denied(request: Request) -> Response:
                return Response("denied")

            return denied

        assert await get(app, "/later") == ["later"]
        app.group("/x", middleware=[deny]).get("/y")(later)
        assert await get(app, "/x/y", "/later") == ["denied", "later"]

    def test_nothing_a_plugin_contributed_is_there_twice(self) -> None:
        app = full_app()
        one, two = built(app), built(app)
        assert one.listing == two.listing
        assert [line["pattern"] for line in two.listing] == ["/", "/mail/send"]
        assert [line["layers"] for line in two.listing] == [["MailPlugin.setup.<locals>.onion"]] * 2
        assert list(app.commands) == ["mail queue"]
        assert list(app.checks) == ["mail.smtp"]
        assert len(app.derived.lifespans) == 1

    def test_a_rebuilt_app_leaves_nothing_behind(self) -> None:
        app = full_app()
        first = weakref.ref(built(app))
        lines = len(linecache.cache)
        for _ in range(20):
            built(app)
        gc.collect()
        assert first() is None
        assert len(linecache.cache) == lines
        assert len(app.container._subscribers) == 1

    async def test_an_override_reaches_the_latest_build_and_ends(self) -> None:
        app = full_app()
        built(app)
        async with TestClient(built(app)) as client:
            with app.container.override(Clock, FixedClock):
                assert (await client.get("/")).text == "42 EUR"
            assert (await client.get("/")).text == "1 EUR"

    async def test_an_override_around_a_build(self) -> None:
        app = full_app()
        with app.container.override(Clock, FixedClock):
            runtime = built(app)
            assert await get(runtime, "/") == ["42 EUR"]
        assert await get(runtime, "/") == ["1 EUR"]

    async def test_an_override_composes_no_middleware_again(self) -> None:
        app = full_app()
        composed = 0

        def counted(handler: Handler) -> Handler:
            nonlocal composed
            composed += 1
            return handler

        app.use(counted)
        async with TestClient(built(app)) as client:
            before = composed
            with app.container.override(Clock, FixedClock):
                assert (await client.get("/")).text == "42 EUR"
            assert composed == before

    async def test_an_override_may_make_a_plain_route_wait(self) -> None:
        app = App()
        app.provide(Clock)

        def onion(handler: Handler) -> Handler:
            return handler

        @app.get("/alone")
        def alone(clock: Clock) -> int:
            return clock.now()

        @app.get("/inside", middleware=[onion])
        def inside(clock: Clock) -> int:
            return clock.now()

        async def waits() -> AsyncGenerator[Clock]:
            yield FixedClock()

        async with TestClient(built(app)) as client:
            with app.container.override(Clock, waits):
                assert [(await client.get(path)).text for path in ("/alone", "/inside")] == ["42", "42"]
            assert [(await client.get(path)).text for path in ("/alone", "/inside")] == ["1", "1"]

    async def test_a_build_that_fails_is_made_good_by_the_next(self) -> None:
        app = full_app()

        @app.get("/broken")
        async def broken(thing: Mailer, other: dict[str, int]) -> None: ...

        problems(lambda: built(app), BindingError)
        app.records.pop()
        assert await get(app, "/") == ["1 EUR"]

    async def test_two_runtimes_of_one_app_do_not_run_at_once(self) -> None:
        app = full_app()
        first, second = built(app), built(app)
        async with first.running():
            with pytest.raises(RuntimeError, match=r"leave the other runtime first, or make a second app"):
                async with second.running():
                    raise AssertionError
            assert first.ready
        async with second.running():
            assert second.ready

    async def test_a_build_leaves_a_runtime_that_runs_alone(self) -> None:
        app = full_app()
        async with TestClient(built(app, **{"shop.currency": "CHF"})) as client:
            built(app, **{"shop.currency": "USD"})
            assert (await client.get("/")).text == "1 CHF"
            assert (await client.get("/mail/send")).text == "nobody@example.com"

    async def test_a_runtime_runs_again_after_it_ended(self) -> None:
        runtime = built(full_app())
        for _ in range(2):
            assert await get(runtime, "/") == ["1 EUR"]


class TestSettings:
    async def test_sections_are_injected_by_their_types(self) -> None:
        app = App()
        app.settings("shop", ShopSettings)

        @app.get("/")
        async def show(shop: ShopSettings, server: ServerSettings) -> str:
            return f"{shop.currency} {server.port}"

        assert await get(app, "/") == ["EUR 0"]

    async def test_two_sections_of_one_type_are_told_apart_by_name(self) -> None:
        app = App()
        app.settings("here", ShopSettings)
        app.settings("there", ShopSettings)

        @app.get("/")
        async def show(
            here: Annotated[ShopSettings, "here"], there: Annotated[ShopSettings, "there"]
        ) -> list[str]:
            return [here.currency, there.currency]

        assert await get(built(app, **{"there.currency": "CHF"}), "/") == ['["EUR","CHF"]']

    def test_a_section_is_declared_once(self) -> None:
        app = App()
        app.settings("shop", ShopSettings)
        with pytest.raises(SetupError, match="'shop' is declared twice"):
            app.settings("shop", ShopSettings)

    def test_a_plugin_and_its_app_mean_the_same_by_a_section(self) -> None:
        app, inner = App(), App()
        app.settings("mail", ShopSettings)
        app.install(MailPlugin())
        inner.settings("server", ShopSettings)
        app.mount("/inner", inner)
        assert problems(lambda: built(app)) == (
            "settings section 'mail' is declared as two different types",
            "settings section 'server' is declared as two different types",
        )

    def test_apps_share_a_section_of_one_type(self) -> None:
        app, inner = App(), App()
        for each in (app, inner):
            each.settings("shop", ShopSettings)
            each.install(MailPlugin())
        app.mount("/inner", inner)
        assert built(app).settings.section(ShopSettings).currency == "EUR"

    def test_wrong_settings_are_all_told(self) -> None:
        found = problems(
            lambda: full_app().build(environ={}, flags={"shop.currrency": "x", "mail.retries": "y"}),
            ConfigError,
        )
        assert len(found) == 2
        assert "did you mean" in found[0]


class TestProblems:
    def test_all_that_is_wrong_with_routes_and_dependencies_at_once(self) -> None:
        app = App()
        app.provide(FixedClock)

        def onion(handler: Handler) -> Handler:
            return handler

        @app.get("/a/{x", skip=[onion])
        async def one() -> None: ...

        @app.get("/b")
        async def two(clock: Clock) -> None: ...

        @app.get("/c")
        async def three(mailer: Annotated[Mailer, "main"], *args: int) -> None: ...

        @app.host("no host:80").get("/d")
        async def four() -> None: ...

        @app.get("/e", threaded=True)
        async def five() -> None: ...

        app.provide(lambda clock: clock, provides=Mailer)
        found = problems(lambda: built(app))
        assert len(found) == len(set(found))
        for text in (
            "GET /a/{x: it skips TestProblems.test_all_that_is_wrong_with_routes_and_dependencies_at_once.<loc",
            "GET /a/{x: pattern '/a/{x'",
            "GET /b: TestProblems",
            "GET /c: TestProblems",
            "GET /d: host 'no host:80'",
            "<lambda> (factory: parameter 'clock' has no annotation)",
        ):
            assert any(text in problem for problem in found), (text, found)

    def test_a_missing_dependency_is_drawn_once_from_its_route(self) -> None:
        class Absent: ...

        class Service:
            def __init__(self, absent: Mailer) -> None: ...

        app = App()
        app.provide(Service)
        app.get("/x")(eval("lambda service: None", {}))
        app.records[-1].handler.__annotations__ = {"service": Service}
        assert problems(lambda: built(app), GraphError) == (
            "GET /x -> Service -> Mailer (missing: no provider for Mailer)",
        )

    def test_threads_and_streams_that_cannot_be(self) -> None:
        app = App()

        @app.get("/a", threaded=True)
        async def one() -> None: ...

        @app.get("/b")
        async def two() -> AsyncIterator[int]:
            yield 1

        found = problems(lambda: built(app), BindingError)
        assert [problem.partition(":")[0] for problem in found] == ["GET /a", "GET /b"]

    def test_a_middleware_that_makes_no_handler(self) -> None:
        def forgetful(handler: Handler) -> Handler:
            async def around(request: Request) -> Response:
                return await handler(request)

            return None  # type: ignore[return-value]

        app = App()

        @app.get("/a", middleware=[forgetful])
        async def one() -> None: ...

        (problem,) = problems(lambda: built(app))
        assert problem.startswith(
            "GET /a: middleware TestProblems.test_a_middleware_that_makes_no_handler.<locals>."
        )
        assert "returned a NoneType" in problem

    def test_a_struct_on_a_get_is_no_body(self) -> None:
        app = App()

        @app.get("/a")
        async def one(filter: ShopSettings) -> None: ...

        (problem,) = problems(lambda: built(app), BindingError)
        assert "would be the body, and this route's requests have none" in problem

    def test_conflicts_name_both_routes(self) -> None:
        app, inner = App(), App()

        @app.get("/in/a/{x}")
        async def one(x: str) -> None: ...

        @inner.get("/a/{y}")
        async def two(y: str) -> None: ...

        app.mount("/in", inner)
        with pytest.raises(RouteConflict, match=r"/in/a/{y}.*claims the requests of.*/in/a/{x}"):
            built(app)

    def test_wrong_handlers_dependencies_and_conflicts_are_told_together(self) -> None:
        class Service:
            def __init__(self, mailer: Mailer) -> None: ...

        app = App()
        app.provide(Service)

        @app.get("/same")
        async def one(service: Service) -> None: ...

        @app.get("/same")
        async def two(mailer: Mailer) -> None: ...

        @app.get("/async", threaded=True)
        async def four() -> None: ...

        found = problems(lambda: built(app))
        wanted = ("claims the requests", "missing: no provider", "nothing provides", "threaded is for")
        assert [part for part in wanted if not any(part in problem for problem in found)] == []
        assert len(found) == len(wanted)

    def test_every_apps_plugins_are_looked_at(self) -> None:
        class Lonely(MailPlugin):
            requires = frozenset({"nothing"})

        app, inner = App(), App()
        app.install(Lonely())
        inner.install(MailPlugin())
        inner.install(MailPlugin())
        app.mount("/inner", inner)
        found = problems(lambda: built(app), PluginError)
        assert any("plugin nothing is not installed" in problem for problem in found)
        assert any("two plugins are named mail" in problem for problem in found)

    def test_a_setup_awaits_nothing(self) -> None:
        class Waiting(MailPlugin):
            async def setup(self, setup: Setup, config: MailConfig) -> None: ...  # type: ignore[override]

        app = App()
        app.install(Waiting())  # type: ignore[arg-type]
        assert problems(lambda: built(app), PluginError) == (
            "plugin mail: setup only records, and awaits nothing; write it without async",
        )

    def test_a_converter_is_one_thing(self) -> None:
        app, inner = App(), App()
        app.converter(Slug())
        with pytest.raises(SetupError, match="'slug' is declared twice, differently"):
            app.converter(Slug())
        inner.converter(Slug())
        app.mount("/inner", inner)
        assert problems(lambda: built(app)) == ("path converter 'slug' is declared twice, differently",)


class TestCallables:
    async def test_partials_methods_and_objects_are_handlers_and_are_listed(self) -> None:
        from functools import partial

        class Controller:
            async def __call__(self) -> str:
                return "object"

            async def method(self) -> str:
                return "method"

        async def greet(greeting: str, name: str) -> str:
            return f"{greeting} {name}"

        app = App()
        controller = Controller()
        app.get("/partial")(partial(greet, "hello"))
        app.get("/method")(controller.method)
        app.get("/object")(controller)
        assert await get(app, "/partial?name=ann", "/method", "/object") == ["hello ann", "method", "object"]
        names = [str(line["handler"]).rpartition("<locals>.")[2] for line in built(app).listing]
        assert names == ["greet", "Controller.method", "Controller"]
        assert app.url(controller.method) == "/method"


class TestMounts:
    def app(self) -> App:
        inner = App()

        @inner.get("/who/{name}")
        async def who(name: str, tenant: str = "none") -> str:
            return f"{name} of {tenant}"

        @inner.get("/fail")
        async def fail() -> None:
            raise OutOfStock

        return inner

    async def test_one_app_below_two_prefixes_runs_once(self) -> None:
        app, inner, log = App(), self.app(), list[str]()

        async def life(app: App) -> AsyncIterator[None]:
            log.append("up")
            yield
            log.append("down")

        inner.lifespan(life)
        app.mount("/a", inner)
        app.mount("/b", inner)
        assert await get(app, "/a/who/x", "/b/who/y") == ["x of none", "y of none"]
        assert log == ["up", "down"]

    async def test_each_place_has_the_layers_around_it(self) -> None:
        def mark(text: str) -> Any:
            def onion(handler: Handler) -> Handler:
                async def around(request: Request) -> Response:
                    response = await handler(request)
                    response.body += f" {text}".encode()
                    return response

                return around

            return onion

        app, middle, inner = App(), App(), self.app()
        app.use(mark("app"))
        middle.use(mark("middle"))
        inner.use(mark("inner"))
        middle.mount("/in", inner)
        app.mount("/m", middle)
        app.mount("/direct", inner)
        assert await get(app, "/m/in/who/x", "/direct/who/x") == [
            "x of none inner middle app",
            "x of none inner app",
        ]

    async def test_a_prefix_may_have_parameters(self) -> None:
        app = App()
        app.mount("/tenants/{tenant}", self.app())
        assert await get(app, "/tenants/acme/who/x") == ["x of acme"]

    async def test_a_mount_at_the_root(self) -> None:
        app, middle = App(), App()
        middle.mount("/", self.app())
        app.mount("/", middle)
        assert await get(app, "/who/x") == ["x of none"]

    def test_an_app_is_not_mounted_in_itself(self) -> None:
        one, two = App(), App()
        with pytest.raises(SetupError, match="cannot be mounted in itself"):
            one.mount("/x", one)
        one.mount("/two", two)
        two.mount("/one", one)
        assert problems(lambda: built(one)) == (
            "mount at /two/one: an app cannot be mounted in itself, by way of another",
        )

    async def test_error_maps_are_each_apps_own(self) -> None:
        app, inner = App(), self.app()

        @app.on_error(OutOfStock)
        def outer(request: Request, error: OutOfStock) -> Response:
            return Response("outer", 409)

        @app.get("/fail")
        async def fail() -> None:
            raise OutOfStock

        app.mount("/in", inner)
        async with TestClient(app) as client:
            assert (await client.get("/fail")).status == 409
            assert (await client.get("/in/fail")).status == 500


class TestPlugins:
    async def test_a_plugin_from_its_settings_to_its_end(self) -> None:
        plugin = MailPlugin()
        app = App()
        app.install(plugin)

        async def life(app: App) -> AsyncIterator[None]:
            plugin.log.append("app up")
            yield
            plugin.log.append("app down")

        app.lifespan(life)

        @app.get("/fail")
        async def fail() -> None:
            raise OutOfStock

        async with TestClient(built(app, **{"mail.sender": "shop@example.com"})) as client:
            answer = await client.get("/mail/send")
            assert (answer.text, answer.headers["x-mail"]) == ("shop@example.com", "1")
            assert (await client.get("/fail")).text == "mail"
        assert plugin.log == ["up", "app up", "open shop@example.com", "app down", "down", "close"]
        assert [route.pattern.text for route in plugin.built[0]] == ["/fail", "/mail/send"]

    async def test_plugins_are_set_up_in_the_order_of_their_needs(self) -> None:
        log: list[str] = []

        class Part:
            config_type = NoConfig

            def __init__(self, name: str, *requires: str) -> None:
                self.name = name
                self.requires = frozenset(requires)

            def setup(self, setup: Setup, config: NoConfig) -> None:
                log.append(f"setup {self.name}")

                async def life(app: App) -> AsyncIterator[None]:
                    log.append(f"{self.name} up")
                    yield
                    log.append(f"{self.name} down")

                setup.lifespan(life)

        app = App()
        for plugin in (Part("c", "b"), Part("a"), Part("b", "a")):
            app.install(plugin)
        async with built(app).running():
            assert log == ["setup a", "setup b", "setup c", "a up", "b up", "c up"]
        assert log[6:] == ["c down", "b down", "a down"]

    async def test_a_lifespan_that_fails_unwinds_those_before_it(self) -> None:
        plugin = MailPlugin()
        app = App()
        app.install(plugin)

        async def life(app: App) -> AsyncIterator[None]:
            raise LookupError("no disk")
            yield

        app.lifespan(life)
        runtime = built(app)
        with pytest.raises(LookupError, match="no disk"):
            async with runtime.running():
                raise AssertionError
        assert plugin.log == ["up", "down"]
        assert not runtime.ready

    def test_the_apps_own_answer_to_an_error_stands_over_a_plugins(self) -> None:
        def own(request: Request, error: OutOfStock) -> Response:
            return Response("own", 410)

        app = App()
        app.on_error(OutOfStock, own)
        app.install(MailPlugin())
        built(app)
        errors = app.errors.joined(app.derived.renderers, debug=False)
        assert errors.render(fake_request("GET", "/"), OutOfStock()).status == 410

    def test_what_is_no_plugin_is_told_at_once(self) -> None:
        with pytest.raises(SetupError, match="plugin MailPlugin is a class; install an instance of it"):
            App().install(MailPlugin)  # type: ignore[arg-type]
        with pytest.raises(
            SetupError, match="str is no plugin: it has no name and no requires and no config_type"
        ):
            App().install("mail")  # type: ignore[arg-type]

    def test_module_global_state_one_plugin_in_two_apps(self) -> None:
        """Row 1: what a plugin records belongs to the app it is installed in."""
        plugin = MailPlugin()
        one, two = App(), App()
        one.install(plugin)
        two.install(plugin)
        built(one, **{"mail.sender": "one@example.com"})
        built(two, **{"mail.sender": "two@example.com"})
        assert one.derived.records[0].handler is not two.derived.records[0].handler
        assert one.container.provides(Mailer)
        assert one.derived is not two.derived

    def test_commands_and_checks_have_one_owner(self) -> None:
        app = App()
        app.command("serve", len)
        app.check("disk", len)
        with pytest.raises(SetupError, match="there are two commands called 'serve'"):
            app.command("serve", max)
        with pytest.raises(SetupError, match="there are two checks called 'disk'"):
            app.check("disk", max)
        app.install(MailPlugin())
        built(app)
        assert list(app.commands) == ["serve", "mail queue"]
        assert list(app.checks) == ["disk", "mail.smtp"]


async def test_skipped_layers_are_not_there() -> None:
    class Limit:
        """Two of them are equal, and a bound method is a new object each time it is asked for."""

        def onion(self, handler: Handler) -> Handler:
            async def around(request: Request) -> Response:
                raise HTTPError(429)

            return around

    app = App()
    limit = Limit()
    app.use(limit.onion)

    @app.get("/free", skip=[limit.onion])
    async def free() -> str:
        return "free"

    @app.get("/limited")
    async def limited() -> str:
        return "limited"

    async with TestClient(app) as client:
        assert (await client.get("/free")).text == "free"
        assert (await client.get("/limited")).status == 429
    endpoint = built(app)._find("GET", "/free", "")[0]
    assert (endpoint.before, endpoint.after) == ((), ())
    assert endpoint.call.__name__ == "bound"
