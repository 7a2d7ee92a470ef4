"""The plugin: limits around routes, from one section of the settings; and limiters of your own on the same engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from framework.app.built import BuiltRoute
from framework.app.plugin import Setup
from framework.di import Scope
from framework.errors import ConfigError, PluginError
from framework.middleware.chain import Phase
from framework.plugins.ratelimit.engine import Engine
from framework.plugins.ratelimit.keys import KeyOf, bounded, by_client, key_of
from framework.plugins.ratelimit.limiter import RateLimiter
from framework.plugins.ratelimit.middleware import CostOf, LimitHooks, LimitOnion, RouteLimit, Rule
from framework.plugins.ratelimit.policy import Policy
from framework.plugins.ratelimit.settings import PolicySettings, RateLimitSettings, engine_of

__all__ = ["Limits", "RateLimit"]


class Limits:
    """Makes limiters on the app's engine; injected by this type.

    ``limits.limiter("5/minute", name="mails")``: a policy's name is what its states are kept under, so that two
    limiters with policies of one name share them.
    """

    def __init__(self, engine: Engine, settings: RateLimitSettings, instances: int, scope: str) -> None:
        self.engine = engine
        self._settings = settings
        self._instances = instances
        self._scope = scope
        self._made: dict[tuple[Policy, ...], RateLimiter] = {}

    @property
    def made(self) -> Sequence[RateLimiter]:
        """Every limiter on the engine."""
        return list(self._made.values())

    def limiter(self, *policies: Policy | str, **options: Any) -> RateLimiter:
        """A limiter by policies, or by a rate and the options of a policy. The same policies have the same limiter.

        Raises:
            ConfigError: policies with problems.
        """
        return self.of([Policy.of(one, **options) if isinstance(one, str) else one for one in policies])

    def of(self, policies: Iterable[Policy]) -> RateLimiter:
        """A limiter by policies."""
        scoped = tuple(self.scoped(policy) for policy in policies)
        limiter = self._made.get(scoped)
        if limiter is None:
            limiter = self._made[scoped] = RateLimiter(
                scoped,
                self.engine,
                on_failure=self._settings.on_failure,
                instances=self._instances,
                lease=self._settings.lease,
            )
        return limiter

    def scoped(self, policy: Policy) -> Policy:
        """The policy under a name that other apps on the same engine do not use."""
        return msgspec.structs.replace(policy, name=f"{self._scope}.{policy.name}") if self._scope else policy


class RateLimit:
    """Rate limits for the app it is installed in.

    The policies of the settings hold for every route they name: ahead of everything (phase TRAFFIC), or behind
    phase POLICY when their key is ``user`` or a function of yours, which an authentication makes known. More limits
    are put on single routes by ``limit``, and ``Limits`` is injected for those that are no matter of requests.

    Policies that decide in one place do so all or nothing; what an inner one refuses, outer ones have counted.

    Args:
        keys: functions from a request to a key, by the names that settings use; beside client, user, route, all.
        cost: units that a request takes, or a function of it.
        scope: comes before the names of policies: two apps that share an engine, one mounted in the other for example,
            are limited apart when their scopes differ.

    Raises:
        PluginError: when the app is built: an unknown key, or Redis without the extra ``redis``.
    """

    name = "ratelimit"
    requires: frozenset[str] = frozenset()
    config_type = RateLimitSettings

    def __init__(
        self, *, keys: Mapping[str, KeyOf] | None = None, cost: int | CostOf = 1, scope: str = ""
    ) -> None:
        self._keys = dict(keys or {})
        self._cost = cost
        self._scope = scope
        self._routes: list[RouteLimit] = []

    def limit(
        self,
        rate: str | Policy,
        *,
        name: str | None = None,
        key: str | KeyOf = by_client,
        cost: int | CostOf = 1,
        **options: Any,
    ) -> RouteLimit:
        """A middleware for a route or group: ``@app.post("/login", middleware=[limits.limit("5/minute")])``.

        Args:
            rate: such as "5/minute", or a policy.
            name: of the policy; ``route-1`` and so on when not given.
            key: whose limit it is: a word as in the settings, or a function of the request.
            options: as a policy has attributes.

        Raises:
            ConfigError: it is no rate, or the policy has problems.
        """
        if isinstance(rate, Policy):
            policy = rate
        else:
            policy = Policy.of(rate, name=name or f"route-{len(self._routes) + 1}", **options)
        # A function of yours may look at what an onion further out has put into the request.
        late = self._is_late(key) if isinstance(key, str) else key is not by_client
        made = RouteLimit(Rule(policy, self._key(key) if isinstance(key, str) else key), cost, late=late)
        self._routes.append(made)
        return made

    def _is_late(self, words: str) -> bool:
        """Whether a key is known only once an authentication has run."""
        return words in self._keys or any(
            part.strip() == "user" or part.strip() in self._keys for part in words.split("+")
        )

    def _key(self, words: str) -> KeyOf:
        """The function of a word of the settings."""
        if words in self._keys:
            return _bounded(self._keys[words])
        parts = [part.strip() for part in words.split("+")]
        if len(parts) > 1 and any(part in self._keys for part in parts):
            functions = [self._key(part) for part in parts]
            return lambda request: bounded(" ".join([function(request) for function in functions]))
        try:
            return key_of(words)
        except ConfigError as error:
            known = f", and {', '.join(self._keys)}" if self._keys else ""
            raise ConfigError(f"{error}{known}") from None

    def setup(self, setup: Setup, config: RateLimitSettings) -> None:
        """Records the layer, the engine's life, the check and ``Limits``."""
        if not config.enabled:
            config = RateLimitSettings(enabled=False)
        workers = setup.worker_count
        try:
            engine = engine_of(config, workers)
        except ImportError:
            raise PluginError("ratelimit: hiredis is not installed; install framework[redis]") from None
        limits = Limits(engine, config, config.instances or workers, self._scope)
        if config.enabled:
            self._record(setup, config, engine, limits)
            setup.check("engine", engine.ping)
        for route in self._routes:
            route.bind(limits.of, style=config.headers, remote=engine.remote, enabled=config.enabled)
        setup.lifespan(_living(engine, limits))
        setup.provide(lambda: limits, scope=Scope.APP, provides=Limits)

    def _record(self, setup: Setup, config: RateLimitSettings, engine: Engine, limits: Limits) -> None:
        """The layers: one ahead of everything, and one behind authentication for keys that it makes known."""
        rules = self._rules(config.policies)
        is_late = {name: self._is_late(settings.key) for name, settings in config.policies.items()}
        for late, phase in ((False, Phase.TRAFFIC), (True, Phase.CONTENT)):
            part = [rule for rule in rules if is_late[rule.policy.name] is late]
            # Hooks run ahead of every onion, whatever their phase: what is to run inside one is an onion itself.
            kind = LimitOnion if late or engine.remote else LimitHooks
            layer = kind(part, limits.of, cost=self._cost, style=config.headers, skip=config.skip)
            if part:
                setup.use(layer, phase=phase)
                setup.on_built(partial(_prepare, layer))
        if rules or self._routes:
            setup.engine(engine)

    def _rules(self, policies: Mapping[str, PolicySettings]) -> list[Rule]:
        rules: list[Rule] = []
        problems: list[str] = []
        for name, settings in policies.items():
            try:
                rules.append(Rule(settings.policy(name), self._key(settings.key), settings.routes))
            except ConfigError as error:
                problems.append(f"ratelimit.policies.{name}.key: {error}")
        if problems:
            raise PluginError(problems)
        return rules


def _bounded(key: KeyOf) -> KeyOf:
    return lambda request: bounded(key(request))


def _prepare(layer: LimitHooks | LimitOnion, routes: Sequence[BuiltRoute]) -> None:
    layer.prepare(list(dict.fromkeys(["", *(route.pattern.text for route in routes)])))


def _living(engine: Engine, limits: Limits) -> Callable[[Any], AsyncGenerator[None]]:
    async def living(app: Any) -> AsyncGenerator[None]:
        from framework.plugins.ratelimit.metrics import measured

        await engine.open()
        try:
            async with measured(app, limits):
                yield
        finally:
            await engine.close()

    return living
