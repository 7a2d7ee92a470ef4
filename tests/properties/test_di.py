"""Random graphs against a naive oracle: what is refused, what is built and shared, what is closed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.di import AppScope, Container, Exits, LiveScope, Need, Scope
from framework.errors import GraphError

KINDS = ("call", "coroutine", "generator", "async generator")


@dataclass(frozen=True)
class Spec:
    """One provider to be. ``needs`` are indices of others, of itself, or of none that exists."""

    scope: Scope
    kind: str
    needs: tuple[int, ...]


@dataclass(eq=False)
class Made:
    """What a factory made, and from what."""

    index: int
    needs: tuple[Made, ...]


@dataclass
class World:
    """The factories of a graph, and what they have made."""

    specs: Sequence[Spec]
    fail_at: int | None = None
    open_now: list[Made] = field(default_factory=list)
    built: list[int] = field(default_factory=list)

    def container(self) -> Container:
        container = Container()
        for index, spec in enumerate(self.specs):
            container.provide(self._factory(index, spec), scope=spec.scope, provides=key(index))
        return container

    def _make(self, index: int, needs: dict[str, Made]) -> Made:
        if index == self.fail_at:
            raise OSError(f"factory {index}")
        self.built.append(index)
        return Made(index, tuple(needs.values()))

    def _close(self, made: Made) -> None:
        assert not any(made in other.needs for other in self.open_now), "closed before what was made from it"
        self.open_now.remove(made)

    def _factory(self, index: int, spec: Spec) -> Callable[..., Any]:
        def call(**needs: Made) -> Made:
            return self._make(index, needs)

        async def coroutine(**needs: Made) -> Made:
            await asyncio.sleep(0)
            return self._make(index, needs)

        def generator(**needs: Made) -> Any:
            made = self._make(index, needs)
            self.open_now.append(made)
            try:
                yield made
            finally:
                self._close(made)

        async def async_generator(**needs: Made) -> Any:
            await asyncio.sleep(0)
            made = self._make(index, needs)
            self.open_now.append(made)
            try:
                await asyncio.sleep(0)
                yield made
            finally:
                await asyncio.sleep(0)
                self._close(made)

        factory: Any = dict(zip(KINDS, (call, coroutine, generator, async_generator), strict=True))[spec.kind]
        names = [f"need{position}" for position in range(len(spec.needs))]
        factory.__annotations__ = {name: key(need) for name, need in zip(names, spec.needs, strict=True)}
        factory.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
        )
        return factory  # type: ignore[no-any-return]


def key(index: int) -> Any:
    return Annotated[Made, index]


@st.composite
def any_graphs(draw: st.DrawFn) -> list[Spec]:
    size = draw(st.integers(1, 6))
    needs = st.lists(st.integers(0, size), max_size=3).map(tuple)
    return [
        Spec(draw(st.sampled_from(Scope)), draw(st.sampled_from(KINDS)), draw(needs)) for _ in range(size)
    ]


@st.composite
def sound_graphs(draw: st.DrawFn) -> list[Spec]:
    """Needs point back, and to nothing that lives shorter."""
    specs: list[Spec] = []
    reach: list[Scope] = []
    for index in range(draw(st.integers(1, 8))):
        needs = tuple(draw(st.lists(st.integers(0, index - 1), max_size=3))) if index else ()
        narrowest = max((reach[need] for need in needs), default=Scope.APP)
        scope = draw(st.sampled_from([scope for scope in Scope if scope >= narrowest]))
        specs.append(Spec(scope, draw(st.sampled_from(KINDS)), needs))
        reach.append(narrowest if scope is Scope.TRANSIENT else scope)
    return specs


def is_sound(specs: Sequence[Spec], index: int, holder: Scope, path: tuple[int, ...] = ()) -> bool:
    """The oracle: follows every path there is."""
    if index >= len(specs) or index in path:
        return False
    spec = specs[index]
    lifetime = holder if spec.scope is Scope.TRANSIENT else spec.scope
    if lifetime > holder:
        return False
    return all(is_sound(specs, need, lifetime, (*path, index)) for need in spec.needs)


def assert_shape(specs: Sequence[Spec], made: Made, index: int) -> None:
    assert made.index == index
    for need, expected in zip(made.needs, specs[index].needs, strict=True):
        assert_shape(specs, need, expected)


def assert_shared(specs: Sequence[Spec], roots: Sequence[Made]) -> None:
    """One object for each scoped key, and one for each injection of a transient."""
    injected = list(roots)
    parents: set[Made] = set()
    for made in injected:
        if made not in parents:
            parents.add(made)
            injected += made.needs
    scoped: dict[int, Made] = {}
    transients: list[Made] = []
    for made in injected:
        if specs[made.index].scope is Scope.TRANSIENT:
            transients.append(made)
        else:
            assert scoped.setdefault(made.index, made) is made
    assert len(set(transients)) == len(transients)


@given(any_graphs())
def test_validation_refuses_exactly_what_the_oracle_refuses(specs: list[Spec]) -> None:
    sound = all(is_sound(specs, index, min(spec.scope, Scope.REQUEST)) for index, spec in enumerate(specs))
    container = World(specs).container()
    if sound:
        container.validate()
    else:
        with pytest.raises(GraphError):
            container.validate()


@given(any_graphs(), st.sampled_from([Scope.APP, Scope.CONNECTION, Scope.REQUEST]))
def test_a_plan_is_refused_exactly_when_the_oracle_refuses(specs: list[Spec], scope: Scope) -> None:
    container = World(specs).container()
    sound = is_sound(specs, 0, scope)
    try:
        container.plan([key(0)], scope=scope, outer="conn")
    except GraphError:
        assert not sound
    else:
        assert sound
    try:
        container.validate([Need("place", [key(0)], scope, outer=True)])
    except GraphError as error:
        told_of_the_place = any(problem.startswith("place -> ") for problem in error.problems)
        assert told_of_the_place is not sound


def compiled(container: Container, needs: Sequence[int]) -> Callable[[LiveScope], Any]:
    """A handler that returns what it is injected, as a binder would compile it."""
    plan = container.plan([key(index) for index in needs], outer="conn")
    lines = [
        "_exits = _Exits()",
        "try:",
        *(f"    {line}" for line in plan.lines),
        f"    result = [{', '.join(plan.args)}]",
        "    seen(result)",
        "except BaseException as error:",
        "    await _exits.close(error)",
        "    raise",
        "await _exits.close()",
        "return result",
    ]
    space: dict[str, Any] = {**plan.env, "_Exits": Exits}
    exec("async def call(conn, seen):\n" + "".join(f"    {line}\n" for line in lines), space)
    return space["call"]  # type: ignore[no-any-return]


@given(sound_graphs(), st.data())
def test_plans_build_share_and_close_as_the_graph_says(specs: list[Spec], data: st.DataObject) -> None:
    world = World(specs)
    needs = data.draw(st.lists(st.integers(0, len(specs) - 1), max_size=4))
    container = world.container()
    handler: Any = compiled(container, needs)

    async def main() -> None:
        async with container.open() as app:
            await app.start()
            at_start = list(world.open_now)
            async with app.enter(Scope.CONNECTION) as connection:
                await handler(connection, check)
            assert world.open_now == at_start
        assert world.open_now == []

    def check(made: list[Made]) -> None:
        for index, one in zip(needs, made, strict=True):
            assert_shape(specs, one, index)
        assert_shared(specs, made)

    asyncio.run(main())
    for index, spec in enumerate(specs):
        if spec.scope is not Scope.TRANSIENT:
            assert world.built.count(index) <= 1


@given(sound_graphs(), st.data())
def test_live_scopes_build_share_and_close_as_the_graph_says(specs: list[Spec], data: st.DataObject) -> None:
    world = World(specs)
    needs = data.draw(st.lists(st.integers(0, len(specs) - 1), max_size=4))

    async def main() -> None:
        async with (
            world.container().open() as app,
            app.enter(Scope.CONNECTION) as connection,
            connection.enter(Scope.REQUEST) as request,
        ):
            made = list(await asyncio.gather(*(request.get(key(index)) for index in needs)))
            for index, one in zip(needs, made, strict=True):
                assert_shape(specs, one, index)
            assert_shared(specs, made)
        assert world.open_now == []

    asyncio.run(main())
    for index, spec in enumerate(specs):
        if spec.scope is not Scope.TRANSIENT:
            assert world.built.count(index) <= 1


@given(sound_graphs(), st.data())
def test_a_failing_factory_leaves_nothing_open_and_poisons_nothing(
    specs: list[Spec], data: st.DataObject
) -> None:
    world = World(specs, fail_at=data.draw(st.integers(0, len(specs) - 1)))
    needs = range(len(specs))
    container = world.container()
    handler: Any = compiled(container, needs)

    async def main() -> None:
        async with container.open() as app:
            await asyncio.gather(app.start(), return_exceptions=True)
            async with app.enter(Scope.CONNECTION) as connection:
                # Without its app-scoped objects a plan fails by itself.
                with pytest.raises((OSError, RuntimeError)):
                    await handler(connection, lambda result: None)
                await asyncio.gather(*(connection.get(key(index)) for index in needs), return_exceptions=True)
            shared = [made for made in world.open_now if specs[made.index].scope is Scope.APP]
            transient = [made for made in world.open_now if specs[made.index].scope is Scope.TRANSIENT]
            assert len(shared) + len(transient) == len(world.open_now)
            world.fail_at = None
            await app.start()
            async with app.enter(Scope.CONNECTION) as connection:
                await handler(connection, lambda result: None)
        assert world.open_now == []

    asyncio.run(main())


@given(sound_graphs(), st.data())
def test_cancelled_askers_leave_one_object_for_each_key(specs: list[Spec], data: st.DataObject) -> None:
    world = World(specs)
    app_scoped = [index for index in range(len(specs)) if is_sound(specs, index, Scope.APP)]
    if not app_scoped:
        return
    asked = data.draw(st.lists(st.tuples(st.sampled_from(app_scoped), st.integers(0, 6)), max_size=8))

    async def ask(app: AppScope, index: int, turns: int) -> Any:
        """Asks, and is cancelled after so many turns of the loop, if it takes that long."""
        task = asyncio.ensure_future(app.get(key(index)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    async def main() -> None:
        async with world.container().open() as app:
            got = await asyncio.gather(*(ask(app, index, turns) for index, turns in asked))
            final = {index: await app.get(key(index)) for index in app_scoped}
            for (index, _), one in zip(asked, got, strict=True):
                if specs[index].scope is Scope.APP and isinstance(one, Made):
                    assert one is final[index]
            for index in app_scoped:
                if specs[index].scope is Scope.APP:
                    assert sum(made.index == index for made in world.open_now) <= 1
        assert world.open_now == []

    asyncio.run(main())
