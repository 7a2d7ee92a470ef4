"""Limits around routes: decided ahead of the handler, told in the fields of every response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from framework.errors import SetupError
from framework.http.handler import Handler
from framework.http.request import Request, StateKey
from framework.http.response import Response
from framework.middleware.hooks import Hooks
from framework.plugins.ratelimit.fields import FieldsOf, HeaderStyle, fields_of
from framework.plugins.ratelimit.kernel import Decision
from framework.plugins.ratelimit.keys import KeyOf
from framework.plugins.ratelimit.limiter import RateLimiter, exceeded
from framework.plugins.ratelimit.policy import Policy

__all__ = ["DECISION", "CostOf", "LimitHooks", "LimitOnion", "Plan", "RouteLimit", "Rule", "matches"]

CostOf = Callable[[Request], int]

DECISION: Final[StateKey[Decision]] = StateKey("ratelimit.decision")
"""What was decided on a request, by the last limit that it passed: ``request.get(DECISION)``."""


class Rule:
    """A policy and whose limit it is.

    Args:
        key: of a request.
        routes: patterns it holds for, those that begin with what stands before a ``*`` included; None is all.
    """

    __slots__ = ("key", "policy", "routes")

    def __init__(self, policy: Policy, key: KeyOf, routes: Sequence[str] | None = None) -> None:
        self.policy = policy
        self.key = key
        self.routes = routes

    def covers(self, pattern: str) -> bool:
        """Whether it holds for a route."""
        return self.routes is None or any(matches(wanted, pattern) for wanted in self.routes)


def matches(wanted: str, pattern: str) -> bool:
    """Whether a route's pattern is the one that is wanted, or begins as ``/api/*`` says."""
    return pattern.startswith(wanted[:-1]) if wanted.endswith("*") else pattern == wanted


class Plan:
    """The rules that hold for one route, as one limiter."""

    __slots__ = ("consume", "cost", "fields", "keys", "limiter", "only")

    def __init__(
        self, limiter: RateLimiter, keys: Sequence[KeyOf], cost: int | CostOf, fields: FieldsOf
    ) -> None:
        self.limiter = limiter
        self.consume = limiter.consume_now
        self.keys = tuple(keys)
        self.only = keys[0] if len(keys) == 1 else None
        self.cost = cost
        self.fields = fields


class _Limits(Hooks):
    """What both kinds share: the plan of each route, and the fields.

    Args:
        rules: in the order in which they are told of.
        limiter_of: makes a limiter of some of the policies.
        cost: of each request, or a function of it.
        style: of the fields.
        skip: routes that are not limited.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        limiter_of: Callable[[Sequence[Policy]], RateLimiter],
        *,
        cost: int | CostOf = 1,
        style: HeaderStyle = "draft-11",
        skip: Sequence[str] = (),
    ) -> None:
        self._rules = tuple(rules)
        self._limiter_of = limiter_of
        self._cost = cost
        self._style: HeaderStyle = style
        self._skip = tuple(skip)
        self._plans: dict[str, Plan | None] = {}
        self._limiters: dict[tuple[str, ...], RateLimiter] = {}
        self._state: StateKey[Decision] = StateKey("ratelimit.layer")

    @property
    def limiters(self) -> Sequence[RateLimiter]:
        """Those that were made so far."""
        return list(self._limiters.values())

    def prepare(self, patterns: Sequence[str]) -> None:
        """Makes the plans of all routes, so that what is wrong with one shows at the start."""
        for pattern in patterns:
            self._plan(pattern)

    def _plan(self, pattern: str) -> Plan | None:
        """The plan of a route; there are as many as the app has patterns."""
        plan: Plan | None = None
        rules = [rule for rule in self._rules if rule.covers(pattern)]
        if rules and not any(matches(each, pattern) for each in self._skip):
            policies = [rule.policy for rule in rules]
            names = tuple(policy.name for policy in policies)
            limiter = self._limiters.get(names)
            if limiter is None:
                limiter = self._limiters[names] = self._limiter_of(policies)
            fields = fields_of(self._style, policies)
            plan = Plan(limiter, [rule.key for rule in rules], self._cost, fields)
        self._plans[pattern] = plan
        return plan

    def note(self, request: Request, decision: Decision) -> None:
        """Keeps the decision, for the handler and for the fields."""
        made = request.made
        if made is None:
            made = request.made = {}
        made[self._state] = made[DECISION] = decision

    def after(self, request: Request, response: Response) -> None:
        """Tells the client about its limits."""
        made = request.made
        decision = None if made is None else made.get(self._state)
        if decision is None or decision.source == "open" or decision.source == "closed":
            return
        endpoint = request.endpoint
        plan = self._plans.get(endpoint.pattern)
        if plan is not None:
            response.headers.pairs.extend(plan.fields(decision))


class LimitHooks(_Limits):
    """Limits by an engine of this machine, which needs no waiting."""

    def before(self, request: Request) -> None:
        """Decides. Raises LimitExceeded."""
        endpoint = request.endpoint
        pattern = endpoint.pattern
        try:
            plan = self._plans[pattern]
        except KeyError:
            plan = self._plan(pattern)
        if plan is None:
            return
        cost = plan.cost
        if not isinstance(cost, int):
            cost = cost(request)
        only = plan.only
        if only is not None:
            decision = plan.consume(only(request), cost)
        else:
            decision = plan.limiter.decide_now([key(request) for key in plan.keys], cost)
        self.note(request, decision)
        if not decision.allowed:
            raise exceeded(decision)


class LimitOnion(_Limits):
    """Limits by an engine that has to be asked."""

    def __call__(self, handler: Handler) -> Handler:
        """Decides ahead of the handler."""

        async def limited(request: Request) -> Response:
            pattern = request.endpoint.pattern
            try:
                plan = self._plans[pattern]
            except KeyError:
                plan = self._plan(pattern)
            if plan is not None:
                cost = plan.cost if isinstance(plan.cost, int) else plan.cost(request)
                decision = await plan.limiter.decide([key(request) for key in plan.keys], cost)
                self.note(request, decision)
                if not decision.allowed:
                    raise exceeded(decision)
            return await handler(request)

        return limited


class RouteLimit(LimitHooks):
    """A limit of one route or group, made by ``RateLimit.limit`` and bound when its plugin is set up.

    ``late``: it decides where it stands among the onions, not ahead of them all.
    """

    def __init__(self, rule: Rule, cost: int | CostOf, *, late: bool = False) -> None:
        super().__init__([rule], _unbound, cost=cost)
        self.rule = rule
        self.late = late
        self._onion: LimitOnion | None = None

    def bind(
        self,
        limiter_of: Callable[[Sequence[Policy]], RateLimiter],
        *,
        style: HeaderStyle,
        remote: bool,
        enabled: bool = True,
    ) -> None:
        """Takes the engine of the app that is built now; or, not enabled, limits nothing."""
        rules = [self.rule] if enabled else []
        LimitHooks.__init__(self, rules, limiter_of, cost=self._cost, style=style)
        self._onion = (
            LimitOnion(rules, limiter_of, cost=self._cost, style=style) if remote or self.late else None
        )

    @property
    def limiters(self) -> Sequence[RateLimiter]:
        """The one that was made, if any."""
        return super().limiters if self._onion is None else self._onion.limiters

    def before(self, request: Request) -> None:
        """Decides, where the engine is one of this machine."""
        if self._onion is None:
            super().before(request)

    def after(self, request: Request, response: Response) -> None:
        """Tells the client about its limits."""
        if self._onion is None:
            super().after(request, response)
        else:
            self._onion.after(request, response)

    def __call__(self, handler: Handler) -> Handler:
        """Decides, where the engine has to be asked or the limit is late; adds nothing elsewhere."""
        return handler if self._onion is None else self._onion(handler)


def _unbound(policies: Sequence[Policy]) -> RateLimiter:
    raise SetupError(f"limit {policies[0].name}: install the RateLimit plugin that it was made by")
