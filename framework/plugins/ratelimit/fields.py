"""Header fields that tell clients about their limits: pure functions of a decision, one for each version.

``draft-11``  ``RateLimit`` and ``RateLimit-Policy`` of draft-ietf-httpapi-ratelimit-headers-11 (as since -08): Lists of
              Strings with parameters (RFC 9651)
``draft-7``   ``RateLimit`` with limit, remaining and reset in one dictionary, ``RateLimit-Policy`` as an item
``draft-6``   ``RateLimit-Limit``, ``RateLimit-Remaining``, ``RateLimit-Reset``, ``RateLimit-Policy``
``legacy``    ``X-RateLimit-Limit``, ``X-RateLimit-Remaining``, ``X-RateLimit-Reset`` (seconds to go)
``off``       none

The times are whole seconds, rounded up: no client is told to come back too early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from framework.plugins.ratelimit.kernel import Decision
from framework.plugins.ratelimit.policy import Policy, terms_of

__all__ = ["FieldsOf", "HeaderStyle", "Pair", "STYLES", "OnePolicy", "fields_of"]

HeaderStyle: TypeAlias = Literal["draft-11", "draft-7", "draft-6", "legacy", "off"]
STYLES: Final[tuple[HeaderStyle, ...]] = ("draft-11", "draft-7", "draft-6", "legacy", "off")
Pair: TypeAlias = tuple[str, str]
FieldsOf: TypeAlias = Callable[[Decision], "Sequence[Pair]"]
_SECOND: Final = 1_000_000_000


def fields_of(style: HeaderStyle, policies: Sequence[Policy]) -> FieldsOf:
    """What makes the fields of a decision by these policies. Shadows are not told of."""
    shown = [policy for policy in policies if not policy.shadow]
    if style == "off" or not shown:
        return lambda decision: ()
    makers: dict[HeaderStyle, Callable[[Sequence[Policy]], FieldsOf]] = {
        "draft-11": _draft_11,
        "draft-7": _draft_7,
        "draft-6": _draft_6,
        "legacy": lambda policies: _legacy,
    }
    return makers[style](shown)


def seconds(ns: int) -> int:
    """Whole seconds, rounded up."""
    return -(-ns // _SECOND)


def window_of(policy: Policy) -> int:
    """The window in whole seconds, at least 1: the fields know no shorter one."""
    return max(1, round(policy.window))


class OnePolicy:
    """The fields of draft-11 for a limiter with one policy: the commonest case, and so made for speed."""

    __slots__ = ("_begins", "_constant")

    def __init__(self, constant: Pair, name: str) -> None:
        self._constant = constant
        self._begins = f'"{name}";r='

    def of(self, decision: Decision) -> Sequence[Pair]:
        """The fields of a decision."""
        ns = decision.retry_ns
        if ns == 0:
            ns = decision.reset_ns
        if ns <= 0:
            return (self._constant, ("ratelimit", f"{self._begins}{decision.remaining}"))
        ns = (ns + _SECOND - 1) // _SECOND
        return (self._constant, ("ratelimit", f"{self._begins}{decision.remaining};t={ns}"))


def _draft_11(policies: Sequence[Policy]) -> FieldsOf:
    told = ", ".join(
        f'"{policy.name}";q={terms_of(policy).quota};w={window_of(policy)}' for policy in policies
    )
    constant = ("ratelimit-policy", told)
    # The effective window: in how many seconds as much as is left can be used, and then more is there.
    if len(policies) == 1:
        return OnePolicy(constant, policies[0].name).of

    def several(decision: Decision) -> Sequence[Pair]:
        items: list[str] = []
        for part in decision.all:
            if not part.policy.shadow:
                ns = part.retry_ns or part.reset_ns
                after = f";t={-(-ns // _SECOND)}" if ns > 0 else ""
                items.append(f'"{part.policy.name}";r={part.remaining}{after}')
        return (constant, ("ratelimit", ", ".join(items)))

    return several


def _draft_7(policies: Sequence[Policy]) -> FieldsOf:
    constant = ("ratelimit-policy", ", ".join(f"{policy.quota};w={window_of(policy)}" for policy in policies))

    def fields(decision: Decision) -> Sequence[Pair]:
        reset = seconds(decision.retry_ns or decision.reset_ns) if decision.retry_ns >= 0 else 0
        return (
            constant,
            ("ratelimit", f"limit={decision.quota}, remaining={decision.remaining}, reset={reset}"),
        )

    return fields


def _draft_6(policies: Sequence[Policy]) -> FieldsOf:
    constant = ("ratelimit-policy", ", ".join(f"{policy.quota};w={window_of(policy)}" for policy in policies))

    def fields(decision: Decision) -> Sequence[Pair]:
        return (
            constant,
            ("ratelimit-limit", str(decision.quota)),
            ("ratelimit-remaining", str(decision.remaining)),
            ("ratelimit-reset", str(seconds(max(0, decision.retry_ns) or decision.reset_ns))),
        )

    return fields


def _legacy(decision: Decision) -> Sequence[Pair]:
    return (
        ("x-ratelimit-limit", str(decision.quota)),
        ("x-ratelimit-remaining", str(decision.remaining)),
        ("x-ratelimit-reset", str(seconds(max(0, decision.retry_ns) or decision.reset_ns))),
    )
