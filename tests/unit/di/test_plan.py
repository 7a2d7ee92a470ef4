"""The generated code: what it says, and what it does."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

import pytest

from framework.di.cell import Cell
from framework.di.exits import Exits
from framework.di.graph import Graph, View
from framework.di.plan import Plan, compile_builder, write_plan
from framework.di.provider import Provider, parse, value
from framework.di.scope import Scope

pytestmark = pytest.mark.anyio


class Request: ...


class Config: ...


class Repository:
    def __init__(self, config: Config) -> None:
        self.config = config


class Service:
    def __init__(self, repository: Repository) -> None:
        self.repository = repository


class Pair:
    def __init__(self, service: Service, repository: Repository) -> None:
        self.service = service
        self.repository = repository


class Token:
    pass


class Tokens:
    def __init__(self, first: Token, second: Token) -> None:
        self.both = (first, second)


class Picky:
    def __init__(
        self,
        size: int = 7,
        request: Request | None = None,
        config: Config | None = None,
        *,
        repository: Repository,
    ) -> None:
        self.taken = (size, request, config, repository)


class Positional:
    def __init__(self, size: int = 7, config: Config | None = None, /) -> None:
        self.taken = (size, config)


class Reads:
    """A live scope that hands out what it is told to."""

    def __init__(self, values: Mapping[Any, object]) -> None:
        self.values = values
        self.asked: list[Any] = []

    async def get(self, key: Any) -> object:
        self.asked.append(key)
        return self.values[key]


def graph_of(*providers: Provider, expected: Mapping[Any, Scope] | None = None) -> Graph:
    return Graph({provider.key: provider for provider in providers}, expected or {}, ())


def plan_of(
    graph: Graph,
    needs: Sequence[Any],
    *,
    scope: Scope = Scope.REQUEST,
    given: Mapping[Any, str] | None = None,
    cells: Mapping[Any, Cell] | None = None,
    outer: str | None = None,
    app: object = None,
) -> Plan:
    given = given or {}
    trusted = frozenset({Scope.CONNECTION}) if outer else frozenset[Scope]()
    view = View(graph, scope, dict.fromkeys(given, scope), outer is not None, trusted)
    return write_plan(view, needs, given, cell=(cells or {}).__getitem__, outer=outer, app=app)


async def run(plan: Plan, **local: object) -> Any:
    """Runs a plan as a binder would: the values of ``args`` as a tuple."""
    body = "".join(f"    {line}\n" for line in [*plan.lines, f"return ({', '.join([*plan.args, ''])})"])
    space: dict[str, Any] = dict(plan.env)
    kind = "async " if plan.is_async else ""
    exec(f"{kind}def call({', '.join(local)}):\n{body}", space)
    result = space["call"](**local)
    return await result if plan.is_async else result


def full(key: str, held: object) -> Cell:
    cell = Cell(key)
    cell.fill(held)
    return cell


def test_the_plan_of_nothing_is_empty() -> None:
    assert plan_of(graph_of(), []) == Plan([], {}, [], {}, is_async=False, needs_exits=False)


def test_a_plan_is_straight_line_code() -> None:
    graph = graph_of(
        parse(Config, Scope.APP), parse(Repository, Scope.REQUEST), parse(Service, Scope.REQUEST)
    )
    plan = plan_of(graph, [Service, Config], cells={Config: full("Config", Config())})
    assert plan.lines == [
        "_di_repository0 = _di1_make_repository(_di0_app_config.value)",
        "_di_service1 = _di2_make_service(_di_repository0)",
    ]
    assert plan.names == {Service: "_di_service1", Config: "_di0_app_config.value"}
    assert plan.args == ["_di_service1", "_di0_app_config.value"]
    assert not plan.is_async
    assert not plan.needs_exits
    assert all(name.startswith("_di") for name in plan.env)


async def test_a_scoped_object_is_made_once_for_all_who_need_it() -> None:
    graph = graph_of(
        parse(Config, Scope.APP),
        parse(Repository, Scope.REQUEST),
        parse(Service, Scope.REQUEST),
        parse(Pair, Scope.REQUEST),
    )
    config = Config()
    plan = plan_of(graph, [Pair, Service], cells={Config: full("Config", config)})
    pair, service = await run(plan)
    assert pair.service is service
    assert pair.repository is service.repository
    assert service.repository.config is config


async def test_a_transient_is_new_for_each_injection() -> None:
    graph = graph_of(parse(Token, Scope.TRANSIENT), parse(Tokens, Scope.REQUEST))
    tokens, one, other = await run(plan_of(graph, [Tokens, Token, Token]))
    assert len({*tokens.both, one, other}) == 4


async def test_given_keys_are_the_callers_own_expressions() -> None:
    graph = graph_of(parse(Repository, Scope.REQUEST), parse(Token, Scope.TRANSIENT))
    plan = plan_of(graph, [Repository, Token], given={Config: "request.config", Token: "token"})
    assert plan.lines == ["_di_repository0 = _di0_make_repository(request.config)"]
    assert plan.args == ["_di_repository0", "token"]


async def test_values_are_constants_of_the_plan() -> None:
    config = Config()
    plan = plan_of(graph_of(value(Config, config), parse(Repository, Scope.REQUEST)), [Repository])
    (repository,) = await run(plan)
    assert repository.config is config
    assert len(plan.lines) == 1


async def test_defaults_none_and_keywords_are_passed_as_the_factory_takes_them() -> None:
    config = Config()
    graph = graph_of(value(Config, config), parse(Repository, Scope.REQUEST), parse(Picky, Scope.REQUEST))
    plan = plan_of(graph, [Picky])
    assert plan.lines[-1] == (
        "_di_picky1 = _di2_make_picky(config=_di0_value_config, repository=_di_repository0)"
    )
    (picky,) = await run(plan)
    assert picky.taken[:3] == (7, None, config)
    assert isinstance(picky.taken[3], Repository)


async def test_a_parameter_by_position_only_after_a_default_is_still_reached() -> None:
    config = Config()
    plan = plan_of(graph_of(value(Config, config), parse(Positional, Scope.REQUEST)), [Positional])
    (positional,) = await run(plan)
    assert positional.taken == (7, config)


async def test_an_optional_parameter_without_a_default_gets_none() -> None:
    def make(request: Request | None, config: Config) -> Service:
        assert request is None
        return Service(Repository(config))

    make.__annotations__ = {"request": Request | None, "config": Config, "return": Service}
    plan = plan_of(graph_of(value(Config, Config()), parse(make, Scope.REQUEST)), [Service, Request | None])
    assert plan.args[1] == "None"
    assert isinstance((await run(plan))[0], Service)


async def test_every_kind_of_factory_is_called_in_its_way() -> None:
    events: list[str] = []

    async def config() -> Config:
        await asyncio.sleep(0)
        return Config()

    def repository(config: Config) -> Iterator[Repository]:
        yield Repository(config)
        events.append("repository closed")

    async def service(repository: Repository) -> AsyncIterator[Service]:
        yield Service(repository)
        events.append("service closed")

    plan = plan_of(
        graph_of(
            parse(config, Scope.REQUEST), parse(repository, Scope.REQUEST), parse(service, Scope.REQUEST)
        ),
        [Service],
    )
    assert plan.lines == [
        "_di_config0 = await _di0_make_config()",
        "_di_repository1 = _exits.enter(_di1_make_repository(_di_config0))",
        "_di_service2 = await _exits.enter_async(_di3_make_service(_di_repository1))",
    ]
    assert plan.is_async
    assert plan.needs_exits
    assert plan.env["_di_Exits"] is Exits
    exits = Exits()
    (made,) = await run(plan, _exits=exits)
    assert isinstance(made.repository.config, Config)
    await exits.close()
    assert events == ["service closed", "repository closed"]


async def test_a_synchronous_clean_up_does_not_make_the_lines_await() -> None:
    def config() -> Iterator[Config]:
        yield Config()

    plan = plan_of(graph_of(parse(config, Scope.REQUEST)), [Config])
    assert plan.needs_exits
    assert not plan.is_async


async def test_connection_scoped_objects_are_asked_of_the_outer_scope_once() -> None:
    config = Config()
    outer = Reads({Config: config})
    graph = graph_of(
        parse(Config, Scope.CONNECTION), parse(Repository, Scope.REQUEST), parse(Pair, Scope.REQUEST),
        parse(Service, Scope.REQUEST),
    )  # fmt: skip
    plan = plan_of(graph, [Pair, Config], outer="conn")
    assert plan.lines[0] == "_di_config0 = await conn.get(_di0_key_config)"
    pair, asked = await run(plan, conn=outer)
    assert outer.asked == [Config]
    assert pair.repository.config is asked is config


async def test_what_the_connection_is_handed_is_asked_of_it() -> None:
    request = Request()
    plan = plan_of(graph_of(expected={Request: Scope.CONNECTION}), [Request], outer="conn")
    assert (await run(plan, conn=Reads({Request: request}))) == (request,)


async def test_in_a_plan_of_the_connection_itself_its_objects_are_made_in_line() -> None:
    graph = graph_of(value(Config, Config()), parse(Repository, Scope.CONNECTION))
    plan = plan_of(graph, [Repository], scope=Scope.CONNECTION)
    assert plan.lines == ["_di_repository0 = _di1_make_repository(_di0_value_config)"]
    assert plan_of(graph, [Repository], scope=Scope.CONNECTION, outer="conn").is_async


async def test_an_app_scoped_object_not_yet_built_is_asked_of_a_started_app_scope() -> None:
    config = Config()
    app = Reads({Config: config})
    graph = graph_of(parse(Config, Scope.APP))
    assert (await run(plan_of(graph, [Config], cells={Config: Cell("Config")}, app=app))) == (config,)
    assert plan_of(graph, [Config], cells={Config: full("Config", config)}, app=app).lines == []


async def test_reading_an_app_scoped_object_before_the_start_is_explained() -> None:
    plan = plan_of(graph_of(parse(Config, Scope.APP)), [Config], cells={Config: Cell("Config")})
    with pytest.raises(RuntimeError, match="Config is app-scoped"):
        await run(plan)


async def test_names_never_collide_however_keys_are_called() -> None:
    names = [
        "App",
        "AppConfig",
        "Config",
        "MakeConfig",
        "KeyConfig",
        "Value_Config",
        "Config0",
        "Ünï",
        "é",
        "Exits",
    ]
    keys = [type(name, (), {}) for name in names] + [Annotated[Config, "app"], Annotated[Config, "a-p/p"]]

    def make(key: Any, scope: Scope) -> Provider:
        return parse(lambda: key, scope, key)

    graph = graph_of(
        *(
            make(key, scope)
            for key, scope in zip(keys, [Scope.REQUEST, Scope.TRANSIENT] * len(keys), strict=False)
        )
    )
    plan = plan_of(graph, keys)
    assert list(await run(plan)) == keys
    assert len(set(plan.args)) == len(keys)
    assert not set(plan.args) & set(plan.env)


async def test_a_plan_may_be_deeper_than_the_stack() -> None:
    keys = [Annotated[int, number] for number in range(3000)]

    def link(key: Any, needed: Any) -> Provider:
        def make(needed: int) -> int:
            return needed + 1

        make.__annotations__ = {"needed": needed, "return": key}
        return parse(make, Scope.REQUEST)

    providers = [link(key, needed) for key, needed in pairwise(keys)]
    plan = plan_of(graph_of(*providers, value(keys[-1], 0)), keys[:1])
    assert await run(plan) == (2999,)


async def test_a_builder_makes_one_object_and_asks_the_scope_for_what_is_shared() -> None:
    config, token = Config(), Token()
    graph = graph_of(
        parse(Config, Scope.REQUEST), parse(Repository, Scope.TRANSIENT), parse(Service, Scope.REQUEST)
    )
    builder = compile_builder(View(graph, Scope.REQUEST, {Token: Scope.REQUEST}), Service)
    scope = Reads({Config: config, Token: token})
    service = await builder.make(scope, Exits())
    assert service.repository.config is config
    assert scope.asked == [Config]
    assert not builder.needs_exits


async def test_a_builder_asks_for_a_transient_that_is_handed_in() -> None:
    config = Config()
    graph = graph_of(parse(Config, Scope.TRANSIENT), parse(Repository, Scope.REQUEST))
    builder = compile_builder(View(graph, Scope.REQUEST, {Config: Scope.REQUEST}), Repository)
    assert (await builder.make(Reads({Config: config}), Exits())).config is config


async def test_a_traceback_shows_the_generated_line() -> None:
    def failing(config: Config) -> Repository:
        raise OSError("no database")

    graph = graph_of(value(Config, Config()), parse(failing, Scope.REQUEST))
    builder = compile_builder(View(graph, Scope.REQUEST), Repository)
    with pytest.raises(OSError, match="no database") as raised:
        await builder.make(Reads({}), Exits())
    text = "".join(traceback.format_exception(raised.value))
    assert "<framework.di builder of Repository, " in text
    assert "_di_repository0 = _di1_make_repository(_di0_value_config)" in text
