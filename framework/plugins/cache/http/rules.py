"""What may be stored, for how long, and when it may be served: RFC 9111, for a cache that many share. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from framework.http.conditions import parse_http_date
from framework.plugins.cache.http.directives import lifetime_in, parse_directives, seconds_of

__all__ = [
    "Stored",
    "Terms",
    "Varies",
    "Verdict",
    "Wishes",
    "age_of",
    "judge",
    "terms_of",
    "vary_of",
    "wishes_of",
]

Verdict = Literal["fresh", "stale", "refresh", "validate"]

# Those of RFC 9110 section 15.1 that are final and whole; 206 would need to be put together.
_HEURISTIC: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_UNDERSTOOD: Final = _HEURISTIC | {
    302,
    303,
    307,
    400,
    403,
    409,
    411,
    413,
    415,
    421,
    422,
    451,
    500,
    502,
    503,
    504,
}


class Stored(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """A response as it is kept.

    Attributes:
        at: Unix time at which it was received or validated; ``age`` it had then; ``life``: seconds it is fresh for.
        on_error, behind: seconds past that for which it is served when there is an error, or while it is validated.
        validate: it is asked about before each use (no-cache).
        strict: it is never served stale (must-revalidate and its like).
    """

    status: int
    fields: tuple[tuple[str, str], ...]
    media_type: str | None
    body: bytes
    at: float
    age: float
    life: float
    on_error: float
    behind: float
    validate: bool
    strict: bool
    etag: str | None
    modified: str | None


class Varies(msgspec.Struct, frozen=True, array_like=True, tag="v"):
    """Responses depend on these fields of the request. ``serial`` is in the keys of theirs: to delete this is to
    delete them."""

    names: tuple[str, ...]
    serial: str


class Terms(msgspec.Struct, frozen=True):
    """What a response allows; see ``Stored``."""

    life: float
    on_error: float
    behind: float
    validate: bool
    strict: bool


class Wishes(msgspec.Struct, frozen=True):
    """What a request asks of caches (section 5.2.1). ``max_stale`` infinite: however stale."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int = 0
    max_stale: float = 0.0


NO_WISHES: Final = Wishes()


def wishes_of(cache_control: str | None, pragma: str | None) -> Wishes:
    """What the fields ask; Pragma only counts without Cache-Control (section 5.4)."""
    if cache_control is None:
        return NO_WISHES if pragma is None or "no-cache" not in pragma.lower() else Wishes(no_cache=True)
    said = parse_directives(cache_control)
    stale = 0.0
    if "max-stale" in said:
        stale = float("inf") if said["max-stale"] is None else float(seconds_of(said["max-stale"]) or 0)
    return Wishes(
        no_store="no-store" in said,
        no_cache="no-cache" in said,
        only_if_cached="only-if-cached" in said,
        max_age=lifetime_in(said, "max-age"),
        min_fresh=seconds_of(said.get("min-fresh")) or 0,
        max_stale=stale,
    )


def terms_of(
    status: int,
    fields: Sequence[tuple[str, str]],
    *,
    authorized: bool,
    personal: bool,
    now: float,
    default_life: float = 0.0,
    on_error: float = 0.0,
    behind: float = 0.0,
) -> Terms | str:
    """Whether a response to GET may be stored (section 3), and on which terms; else the reason why not.

    Args:
        fields: of the response, names in lower case.
        authorized: the request had Authorization: then the response has to allow it (section 3.5).
        personal: it had that or a cookie: then nothing but the response's own word makes it storable.
        now: Unix time.
        default_life: for those that say nothing of how long they are fresh (the heuristic of section 4.2.2).
        on_error, behind: for those that do not say how long they may be served stale, and do not forbid it.
    """
    control, expires, date = None, None, None
    for name, value in fields:
        if name == "cache-control":
            control = value if control is None else f"{control}, {value}"
        elif name == "expires":
            expires = value if expires is None else "0"  # twice: stale
        elif name == "date":
            date = parse_http_date(value)
        elif name == "set-cookie":
            return "set-cookie"
        elif name == "vary" and "*" in value:
            return "vary"
    said = parse_directives(control)
    understood = status in _UNDERSTOOD
    if "no-store" in said and not ("must-understand" in said and understood):
        return "no-store"
    if "private" in said:
        return "private"
    if not understood:
        return "status"
    shared = lifetime_in(said, "s-maxage")
    open_to_all = "public" in said or shared is not None
    if authorized and not (open_to_all or "must-revalidate" in said):
        return "authorization"
    life: float | None = shared
    if life is None:
        life = lifetime_in(said, "max-age")
    if life is None and expires is not None:
        end = parse_http_date(expires)
        life = 0.0 if end is None else max(0.0, end - (now if date is None else date))
    if life is None:
        if personal or status not in _HEURISTIC:
            return "no lifetime"
        life = default_life
        if not life and "no-cache" not in said and "public" not in said:
            return "no lifetime"
    strict = "must-revalidate" in said or "proxy-revalidate" in said
    return Terms(
        life=float(life),
        on_error=_grace(said, "stale-if-error", on_error, strict=strict, shared=shared is not None),
        behind=_grace(said, "stale-while-revalidate", behind, strict=strict, shared=shared is not None),
        validate="no-cache" in said,
        strict=strict or shared is not None,
    )


def _grace(said: Mapping[str, str | None], name: str, default: float, *, strict: bool, shared: bool) -> float:
    """Seconds that a response may be served stale. s-maxage forbids it (section 5.2.2.10) unless the response itself
    says how long (RFC 5861)."""
    if strict or "no-cache" in said:
        return 0.0
    told = lifetime_in(said, name)
    return float(told) if told is not None else 0.0 if shared else default


def vary_of(fields: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The names of request fields that the response depends on, in order, once each."""
    names = [
        name.strip(" \t").lower() for field, value in fields if field == "vary" for name in value.split(",")
    ]
    return tuple(sorted({name for name in names if name}))


def age_of(fields: Sequence[tuple[str, str]], *, asked: float, now: float) -> float:
    """The age of a response that was asked for at ``asked`` (section 4.2.3), in Unix seconds both."""
    told, date = 0, None
    for name, value in fields:
        if name == "age":
            told = seconds_of(value.partition(",")[0].strip(" \t")) or 0
        elif name == "date":
            date = parse_http_date(value)
    apparent = 0.0 if date is None else max(0.0, now - date)
    return max(apparent if apparent >= 2.0 else 0.0, told + max(0.0, now - asked))


def judge(stored: Stored, wishes: Wishes, now: float) -> tuple[Verdict, float]:
    """What to do with a stored response (section 4), and the seconds it is fresh yet: negative, it is stale."""
    age = stored.age + max(0.0, now - stored.at)
    left = stored.life - age
    if stored.validate or wishes.no_cache or (wishes.max_age is not None and age > wishes.max_age):
        return "validate", left
    if left > 0:
        return ("fresh" if left >= wishes.min_fresh else "validate"), left
    if wishes.min_fresh:
        return "validate", left
    if -left < stored.behind:
        return "refresh", left
    return (
        "stale" if not stored.strict and -left <= wishes.max_stale and wishes.max_stale else "validate"
    ), left
