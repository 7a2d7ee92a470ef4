"""What is wrong with routes taken together, and what is not."""

from __future__ import annotations

import pytest

from framework.errors import RouteConflict
from framework.routing import RouterBuilder


class Own:
    name, type = "own", str

    def __init__(self, regex: str) -> None:
        self.regex = regex

    def to_python(self, text: str) -> str:
        return text

    def to_text(self, value: str) -> str:
        return value


def conflicts(*routes: str, names: tuple[str | None, ...] = ()) -> tuple[str, ...]:
    """The conflicts of routes such as ``GET x.com/users/{id}``."""
    builder = RouterBuilder[None]({"slug": Own("[a-z-]+"), "word": Own("[a-z-]+"), "any": Own(".+")})
    for i, route in enumerate(routes):
        method, _, label = route.partition(" ")
        host, _, pattern = label.partition("/")
        name = names[i] if names else None
        builder.add("/" + pattern, [method], None, host=host or None, name=name)
    try:
        builder.build(lambda _: None, lambda _: None, None, head=lambda value: value)
    except RouteConflict as conflict:
        return conflict.problems
    return ()


@pytest.mark.parametrize(
    "routes",
    [
        ("GET /a", "POST /a"),
        ("GET /a", "GET /a/"),
        ("GET /{x}", "POST /{y}"),
        ("GET /{x}", "GET /{x:int}", "GET /{x:uuid}", "GET /{x:float}", "GET /{x:slug}", "GET /{x:path}"),
        ("GET /{x:slug}/a", "GET /{x:word}/b"),
        ("GET /a", "GET x.com/a", "GET *.x.com/a", "GET {t}.x.com/a"),
        ("GET /{x}/b", "GET /a/{x}"),
        ("GET /", "GET /{x}", "GET /{rest:path}"),
        ("GET /", "GET /{x}/{rest:path}", "GET /{rest:path}"),
        ("GET /", "GET /{x}", "GET /{x:int}/{rest:path}", "GET /{rest:path}"),
        ("GET /", "GET /{x}", "GET /{x}/", "GET /{x}/{y}", "GET /{x}/{y}/", "GET /{rest:path}"),
    ],
)
def test_routes_that_can_all_be_reached(routes: tuple[str, ...]) -> None:
    assert conflicts(*routes) == ()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("GET /a", "GET /a"),
        ("GET /{x}", "GET /{y:str}"),
        ("GET /{x:int}/b", "GET /{y:int}/b"),
        ("GET /{x:path}", "GET /{y:path}"),
        ("GET X.com/a", "GET x.com/a"),
        ("GET {a}.x.com/a", "GET {b}.x.com/a"),
        ("GET *.x.com/a", "GET *.x.com/a"),
    ],
)
def test_two_routes_that_claim_the_same_requests(first: str, second: str) -> None:
    (problem,) = conflicts(first, second)
    assert repr(first.removeprefix("GET ")) in problem
    assert repr(second.removeprefix("GET ")) in problem


def test_three_claims_are_two_conflicts() -> None:
    assert len(conflicts("GET /a", "GET /a", "GET /a")) == 2


@pytest.mark.parametrize(
    ("lost", "taker"),
    [
        ("/a/{x:word}", "/a/{x:slug}"),
        ("/a/{x}", "/a/{x:any}"),
        ("/{x:word}/{y}", "/{x:slug}/{y:any}"),
        ("/{x:word}/{y:slug}", "/{x:slug}/{y:word}"),
    ],
)
def test_kinds_that_claim_the_same_texts_hide_a_route(lost: str, taker: str) -> None:
    expected = (f"{lost!r} can never be reached: {taker!r} claims its paths and comes first",)
    assert conflicts(f"GET {lost}", f"GET {taker}") == expected
    assert conflicts(f"GET {taker}", f"PUT {lost}") == expected


def test_two_kinds_of_catch_all_at_one_place_are_a_conflict() -> None:
    expected = ("'/f/{y:escaped}' can never be reached: '/f/{x:path}' claims its paths and comes first",)
    assert conflicts("GET /f/{x:path}", "PUT /f/{y:escaped}") == expected


@pytest.mark.parametrize(
    ("rest", "deeper", "lost"),
    [("path", "escaped", True), ("escaped", "escaped", True), ("escaped", "path", False)],
)
def test_a_catch_all_is_hidden_by_what_takes_no_less(rest: str, deeper: str, *, lost: bool) -> None:
    given = f"GET /f/{{rest:{rest}}}", "GET /f/", "GET /f/{x}", f"GET /f/{{x}}/{{y:{deeper}}}"
    assert bool(conflicts(*given)) is lost


def test_an_unreachable_catch_all() -> None:
    (problem,) = conflicts("GET /f/{rest:path}", "GET /f/", "GET /f/{x}", "PUT /f/{x}/{rest:path}")
    assert problem == (
        "'/f/{rest:path}' can never be reached: '/f/', '/f/{x}', "
        "'/f/{x}/{rest:path}' together claim all its paths"
    )


def test_an_unreachable_catch_all_behind_two_levels() -> None:
    problems = conflicts(
        "GET /{rest:path}", "GET /", "GET /{x}", "GET /{x}/", "GET /{x}/{y}", "GET /{x}/{y}/{rest:path}"
    )
    assert len(problems) == 1
    assert problems[0].startswith("'/{rest:path}' can never be reached: ")


def test_a_name_is_given_once() -> None:
    (problem,) = conflicts("GET /a", "GET /b", names=("home", "home"))
    assert problem == "'/a' and '/b' are both called 'home'"
    assert conflicts("GET /a", "PUT /a", names=("home", "home")) == ()
