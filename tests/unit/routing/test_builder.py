"""What the builder records, checks and makes once for each pattern."""

from __future__ import annotations

import pytest

from framework.errors import RouteConflict, SetupError
from framework.routing import Router, RouterBuilder
from framework.routing.converters import NARROW


def build(builder: RouterBuilder[str]) -> Router[str]:
    return builder.build(
        lambda allowed: f"405 {' '.join(allowed)}",
        lambda allowed: f"options {' '.join(allowed)}",
        "404",
        head=lambda value: f"head of {value}",
    )


def test_head_is_automatic() -> None:
    builder = RouterBuilder[str]()
    builder.add("/a", ["GET"], "get")
    builder.add("/b", ["POST"], "post")
    builder.add("/c", ["GET", "HEAD"], "both")
    router = build(builder)
    assert router.find("HEAD", "/a") == ("head of get", {})
    assert router.find("HEAD", "/b") == ("405 OPTIONS POST", {})
    assert router.find("HEAD", "/c") == ("both", {})


def test_options_are_automatic() -> None:
    builder = RouterBuilder[str]()
    builder.add("/a", ["GET", "DELETE"], "a")
    builder.add("/a", ["POST"], "post")
    builder.add("/b", ["OPTIONS"], "own")
    router = build(builder)
    assert router.find("OPTIONS", "/a") == ("options DELETE GET HEAD OPTIONS POST", {})
    assert router.find("OPTIONS", "/b") == ("own", {})
    assert router.find("OPTIONS", "/none") == ("404", {})


def test_other_methods_get_the_fallback_with_what_is_allowed() -> None:
    builder = RouterBuilder[str]()
    builder.add("/users/{id:int}", ["GET"], "get")
    builder.add("/users/{key:int}", ["PUT"], "put")
    router = build(builder)
    assert router.find("PATCH", "/users/1")[0] == "405 GET HEAD OPTIONS PUT"
    assert router.find("get", "/users/1")[0] == "405 GET HEAD OPTIONS PUT"


def test_what_answers_for_a_pattern_is_made_once_at_build() -> None:
    made: list[str] = []

    def make(kind: str) -> str:
        made.append(kind)
        return kind

    builder = RouterBuilder[str]()
    builder.add("/a/{x}", ["GET"], "get")
    builder.add("/a/{y}", ["POST"], "post")
    builder.add("/b", ["GET", "HEAD", "OPTIONS"], "all")
    router = builder.build(
        lambda _: make("fallback"), lambda _: make("options"), "404", head=lambda _: make("head")
    )
    expected = ["fallback", "fallback", "head", "options"]
    assert sorted(made) == expected
    for method in ("HEAD", "OPTIONS", "PATCH"):
        router.find(method, "/a/1")
        router.find(method, "/b")
    assert sorted(made) == expected


def test_what_answers_in_a_paths_name_is_made_beside_its_routes() -> None:
    builder = RouterBuilder[str]()
    builder.add("/a/{x}", ["GET"], "one")
    builder.add("/a/{y}", ["POST", "PUT"], "two")
    builder.add("/b", ["GET"], "three")
    router = builder.build(
        lambda _: "405",
        lambda _: "options",
        "404",
        head=lambda value: value,
        beside=lambda special, values: f"{special} beside {' '.join(values)}",
    )
    assert router.find("OPTIONS", "/a/1")[0] == "options beside one two"
    assert router.find("PATCH", "/a/1")[0] == "405 beside one two"
    assert router.find("PATCH", "/b")[0] == "405 beside three"
    assert router.find("PATCH", "/c")[0] == "404"


def test_conflicts_are_found_without_compiling() -> None:
    builder = RouterBuilder[None]()
    builder.add("/a/{x}", ["GET"], None)
    builder.check()
    builder.add("/a/{y}", ["GET"], None)
    with pytest.raises(RouteConflict, match="claims the requests of"):
        builder.check()


def test_routes_of_one_shape_keep_their_own_names() -> None:
    builder = RouterBuilder[str]()
    builder.add("/users/{id}", ["GET"], "get")
    builder.add("/users/{name}", ["PUT"], "put")
    router = build(builder)
    assert router.find("GET", "/users/bob") == ("get", {"id": "bob"})
    assert router.find("HEAD", "/users/bob") == ("head of get", {"id": "bob"})
    assert router.find("PUT", "/users/bob") == ("put", {"name": "bob"})


def test_a_builder_builds_again_with_what_came_later() -> None:
    builder = RouterBuilder[str]()
    builder.add("/a", ["GET"], "a")
    before = build(builder)
    builder.add("/b", ["GET"], "b")
    after = build(builder)
    assert before.find("GET", "/b") == ("404", {})
    assert after.find("GET", "/b") == ("b", {})
    assert [route.label for route in before.routes()] == ["/a"]


def test_builders_share_nothing() -> None:
    one, two = RouterBuilder[str](), RouterBuilder[str]()
    one.add("/a", ["GET"], "a")
    assert build(two).find("GET", "/a") == ("404", {})


def test_a_false_value_is_a_value() -> None:
    builder = RouterBuilder[object]()
    builder.add("/zero", ["GET"], 0)
    builder.add("/none/{x}", ["GET"], None)
    router = builder.build(lambda _: "405", lambda _: "options", "404", head=lambda value: value)
    assert router.find("GET", "/zero") == (0, {})
    assert router.find("GET", "/none/1") == (None, {"x": "1"})


def test_a_route_is_returned_and_listed_as_it_was_added() -> None:
    builder = RouterBuilder[str]()
    route = builder.add("/users/{id:int}", ["GET", "GET", "PUT"], "value", host="{t}.x.com", name="user")
    assert (route.label, route.methods, route.name) == ("{t}.x.com/users/{id:int}", ("GET", "PUT"), "user")
    assert route.param_names == ("t", "id")
    assert build(builder).routes() == (route,)


@pytest.mark.parametrize(
    ("methods", "problem"),
    [([], "no methods"), (["get"], "'get' is no method"), (["GET", "A B"], "'A B' is no method")],
)
def test_methods_that_no_request_has_are_refused(methods: list[str], problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        RouterBuilder[str]().add("/a", methods, "a")


def test_a_parameter_of_host_and_path_cannot_have_one_name() -> None:
    with pytest.raises(SetupError, match="'id' is a parameter of the host too"):
        RouterBuilder[str]().add("/{id}", ["GET"], "a", host="{id}.x.com")


def test_a_name_is_not_taken_for_a_pattern() -> None:
    with pytest.raises(SetupError, match="'/b' would be taken for a pattern"):
        RouterBuilder[str]().add("/a", ["GET"], "a", name="/b")


class Broken:
    name, regex, type = "broken", "[", str

    def to_python(self, text: str) -> str:
        return text

    def to_text(self, value: str) -> str:
        return value


def test_every_bad_converter_is_told_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        RouterBuilder[str]({"int": NARROW["int"], "broken": Broken()})
    assert len(caught.value.problems) == 2
    assert "'int'" in caught.value.problems[0]
    assert "no regular expression" in caught.value.problems[1]


def test_every_conflict_is_told_at_once_and_names_both_patterns() -> None:
    builder = RouterBuilder[str]()
    builder.add("/users/{id}", ["GET", "PUT"], "1")
    builder.add("/users/{name}", ["PUT"], "2")
    builder.add("/about", ["GET"], "3")
    builder.add("/about", ["GET"], "4")
    with pytest.raises(RouteConflict) as caught:
        build(builder)
    assert caught.value.problems == (
        "PUT '/users/{name}' claims the requests of PUT '/users/{id}'",
        "GET '/about' claims the requests of GET '/about'",
    )
