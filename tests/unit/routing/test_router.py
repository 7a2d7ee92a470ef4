"""Finding: what a path is answered by, and with which parameters."""

from __future__ import annotations

from uuid import UUID

import pytest

from framework.errors import CodecError
from framework.routing import Converter, Router, RouterBuilder

ID = "12345678-1234-5678-9abc-def012345678"


class Choice:
    """One of some words; refuses what to_python refuses."""

    name, type = "choice", str

    def __init__(self, regex: str) -> None:
        self.regex = regex

    def to_python(self, text: str) -> str:
        if text == "none":
            raise ValueError(text)
        return text

    def to_text(self, value: str) -> str:
        return value


def router_of(
    *patterns: str, converters: dict[str, Converter] | None = None, host: str | None = None
) -> Router[str]:
    """A router whose values are the patterns themselves, all for GET."""
    builder = RouterBuilder[str](converters or {})
    for pattern in patterns:
        builder.add(pattern, ["GET"], pattern, host=host)
    return builder.build(lambda _: "405", lambda _: "options", "404", head=lambda value: value)


def test_static_paths() -> None:
    router = router_of("/", "/users", "/users/new", "/café")
    for path in ("/", "/users", "/users/new", "/café"):
        assert router.find("GET", path) == (path, {})
    for path in ("/user", "/users/", "/users/new/x", "/Users", "//users", "", "*", "users"):
        assert router.find("GET", path) == ("404", {})


def test_each_answer_has_its_own_parameters() -> None:
    router = router_of("/a", "/b/{x}")
    for path in ("/a", "/b/1", "/none"):
        router.find("GET", path)[1]["left"] = "behind"
        assert "left" not in router.find("GET", path)[1]


def test_parameters() -> None:
    router = router_of("/users/{id:int}", "/users/{id:int}/posts/{slug}", "/x/{a}/{b}/{c}/{d}")
    assert router.find("GET", "/users/42") == ("/users/{id:int}", {"id": 42})
    assert router.find("GET", "/users/42/posts/new")[1] == {"id": 42, "slug": "new"}
    assert router.find("GET", "/x/1/2/3/4")[1] == {"a": "1", "b": "2", "c": "3", "d": "4"}


@pytest.mark.parametrize(
    "rest", ["", "x", "42/", "42/posts", "42/posts/", "42/posts/x/y", "42/posts/x/", "42/post/x", "x/posts/y"]
)
def test_what_does_not_fit_a_pattern_is_a_miss(rest: str) -> None:
    router = router_of("/users/{id:int}", "/users/{id:int}/posts/{slug}")
    assert router.find("GET", f"/users/{rest}") == ("404", {})


def test_a_slash_at_the_end_counts() -> None:
    router = router_of("/a/{x}/", "/b/{x}")
    assert router.find("GET", "/a/1/") == ("/a/{x}/", {"x": "1"})
    assert router.find("GET", "/a/1") == ("404", {})
    assert router.find("GET", "/b/1/") == ("404", {})


@pytest.mark.parametrize(
    ("path", "pattern", "value"),
    [
        ("/x/new", "/x/new", None),
        ("/x/7", "/x/{v:int}", 7),
        (f"/x/{ID}", "/x/{v:uuid}", UUID(ID)),
        ("/x/7.5", "/x/{v:float}", 7.5),
        ("/x/red", "/x/{v:colour}", "red"),
        ("/x/cat", "/x/{v:animal}", "cat"),
        ("/x/other", "/x/{v}", "other"),
        ("/x/none", "/x/{v}", "none"),
        ("/x/9999999999999999999", "/x/{v:float}", 1e19),
        ("/x/a/b", "/x/{v:path}", "a/b"),
        ("/x/", "/x/{v:path}", ""),
        ("/x/new/", "/x/{v:path}", "new/"),
    ],
)
def test_precedence(path: str, pattern: str, value: object) -> None:
    router = router_of(
        "/x/{v:path}",
        "/x/{v}",
        "/x/{v:animal}",
        "/x/{v:colour}",
        "/x/{v:float}",
        "/x/{v:uuid}",
        "/x/{v:int}",
        "/x/new",
        converters={"colour": Choice("red|orange|none|7"), "animal": Choice("cat|orange|none")},
    )
    assert router.find("GET", path) == (pattern, {} if value is None else {"v": value})
    assert router.find("GET", "/x/orange")[0] == "/x/{v:colour}"


def test_the_first_difference_decides_as_in_a_dictionary() -> None:
    router = router_of("/a/{x}/{y}", "/{x}/b/c", "/{x}/{y:int}/c", "/{x:int}/{rest:path}")
    assert router.find("GET", "/a/b/c")[0] == "/a/{x}/{y}"
    assert router.find("GET", "/z/b/c")[0] == "/{x}/b/c"
    assert router.find("GET", "/z/1/c")[0] == "/{x}/{y:int}/c"
    assert router.find("GET", "/1/b/c")[0] == "/{x:int}/{rest:path}"


def test_backtracking() -> None:
    router = router_of("/a/b/{x:int}", "/a/{x}/c", "/{x}/b/{y}", "/{x:int}/q", "/{x}/q/r", "/a/{rest:path}")
    assert router.find("GET", "/a/b/1") == ("/a/b/{x:int}", {"x": 1})
    assert router.find("GET", "/a/b/c") == ("/a/{x}/c", {"x": "b"})
    assert router.find("GET", "/a/b/d") == ("/a/{rest:path}", {"rest": "b/d"})
    assert router.find("GET", "/z/b/d") == ("/{x}/b/{y}", {"x": "z", "y": "d"})
    assert router.find("GET", "/1/q/r") == ("/{x}/q/r", {"x": "1"})
    assert router.find("GET", "/1/q") == ("/{x:int}/q", {"x": 1})
    assert router.find("GET", "/z/q") == ("404", {})


def test_backtracking_leaves_no_value_behind() -> None:
    router = router_of("/{a:int}/{b:int}/x", "/{c}/{d}/{e}")
    assert router.find("GET", "/1/2/3") == ("/{c}/{d}/{e}", {"c": "1", "d": "2", "e": "3"})


def test_a_catch_all_takes_what_remains_and_also_nothing() -> None:
    router = router_of("/files/{rest:path}", "/files/special", "/u/{id:int}/{rest:path}")
    assert router.find("GET", "/files/a/b/c.txt") == ("/files/{rest:path}", {"rest": "a/b/c.txt"})
    assert router.find("GET", "/files/") == ("/files/{rest:path}", {"rest": ""})
    assert router.find("GET", "/files/special") == ("/files/special", {})
    assert router.find("GET", "/files/special/x")[1] == {"rest": "special/x"}
    assert router.find("GET", "/files") == ("404", {})
    assert router.find("GET", "/u/1/") == ("/u/{id:int}/{rest:path}", {"id": 1, "rest": ""})
    assert router.find("GET", "/u/1") == ("404", {})


def test_a_catch_all_at_the_root_takes_every_path_but_no_asterisk() -> None:
    router = router_of("/{rest:path}")
    assert router.find("OPTIONS", "/")[0] == "options"
    assert router.find("GET", "/a/b") == ("/{rest:path}", {"rest": "a/b"})
    assert router.find("OPTIONS", "*") == ("404", {})


def test_a_path_belongs_to_its_most_specific_pattern_whatever_the_method() -> None:
    builder = RouterBuilder[str]()
    builder.add("/users/me", ["GET"], "me")
    builder.add("/users/{id}", ["GET", "PUT"], "user")
    router = builder.build(lambda allowed: ",".join(allowed), lambda _: "", "404", head=lambda value: value)
    assert router.find("PUT", "/users/me")[0] == "GET,HEAD,OPTIONS"
    assert router.find("PUT", "/users/bob") == ("user", {"id": "bob"})


def test_an_encoded_slash_is_no_separator_but_a_slash_in_the_value() -> None:
    router = router_of("/repos/{name}", "/repos/{owner}/{name}", "/x%2Fy")
    assert router.find("GET", "/repos/a%2Fb") == ("/repos/{name}", {"name": "a/b"})
    assert router.find("GET", "/repos/a/b") == ("/repos/{owner}/{name}", {"owner": "a", "name": "b"})
    assert router.find("GET", "/repos/a%252Fb") == ("/repos/{name}", {"name": "a%2Fb"})
    assert router.find("GET", "/x%2Fy") == ("/x%2Fy", {})
    assert router.find("GET", "/x/y") == ("404", {})


def test_an_encoded_slash_does_not_climb_out_of_a_catch_all() -> None:
    router = router_of("/files/{rest:path}")
    assert router.find("GET", "/files/..%2F..%2Fetc%2Fpasswd") == ("404", {})
    assert router.find("GET", "/files/%2Fetc%2Fpasswd") == ("404", {})


def test_what_a_proxy_takes_has_its_encoded_slashes_as_they_came() -> None:
    router = router_of("/files/{rest:escaped}", "/files/known/{name}")
    assert router.find("GET", "/files/a%2Fb/c%25") == ("/files/{rest:escaped}", {"rest": "a%2Fb/c%25"})
    assert router.find("GET", "/files/") == ("/files/{rest:escaped}", {"rest": ""})
    assert router.find("GET", "/files/known%2Fa") == ("/files/{rest:escaped}", {"rest": "known%2Fa"})
    assert router.find("GET", "/files/known/a%2Fb") == ("/files/known/{name}", {"name": "a/b"})


@pytest.mark.parametrize("text", ["١", "1_0", "+1", "-1", " 1", "9" * 5000])
def test_a_bad_int_is_a_miss_and_no_error(text: str) -> None:
    assert router_of("/users/{id:int}").find("GET", f"/users/{text}") == ("404", {})


def test_hosts_from_the_most_specific_to_none() -> None:
    builder = RouterBuilder[str]()
    for host in (None, "*.x.com", "*.b.x.com", "{sub}.b.x.com", "a.b.x.com", "[::1]"):
        builder.add("/", ["GET"], str(host), host=host)
    builder.add("/only", ["GET"], "only", host="*.x.com")
    builder.add("/all/{id:int}", ["GET"], "all")
    builder.add("/sub/{id:int}", ["GET"], "sub", host="{sub}.b.x.com")
    router = builder.build(lambda _: "405", lambda _: "options", "404", head=lambda value: value)

    assert router.find("GET", "/", "a.b.x.com") == ("a.b.x.com", {})
    assert router.find("GET", "/", "c.b.x.com") == ("{sub}.b.x.com", {"sub": "c"})
    assert router.find("GET", "/", "d.c.b.x.com") == ("*.b.x.com", {})
    assert router.find("GET", "/", "c.x.com") == ("*.x.com", {})
    assert router.find("GET", "/", "b.x.com") == ("*.x.com", {})
    for host in (
        "x.com",
        "y.com",
        "ax.com",
        "",
        "bad host",
        "{}.b.x.com",
        ".b.x.com",
        "a..x.com",
        "é.x.com",
        "\u212a",
    ):
        assert router.find("GET", "/", host) == ("None", {})
    assert router.find("GET", "/only", "a.b.x.com") == ("only", {})
    assert router.find("GET", "/only", "y.com") == ("404", {})
    assert router.find("GET", "/all/1", "c.b.x.com") == ("all", {"id": 1})
    assert router.find("GET", "/sub/1", "c.b.x.com") == ("sub", {"sub": "c", "id": 1})
    assert router.find("PUT", "/sub/1", "c.b.x.com") == ("405", {"sub": "c", "id": 1})


@pytest.mark.parametrize("host", ["A.X.com", "a.x.com:8080", "a.x.com.", "a.x.com.:80", "a.x.com:"])
def test_case_port_and_final_dot_of_a_host_do_not_count(host: str) -> None:
    router = router_of("/", host="a.x.com")
    assert router.find("GET", "/", host) == ("/", {})


def test_an_ipv6_host() -> None:
    router = router_of("/", host="[::1]")
    assert router.find("GET", "/", "[::1]:80") == ("/", {})
    assert router.find("GET", "/", "::1") == ("404", {})


def test_a_very_long_host_costs_no_search() -> None:
    router = router_of("/", host="*.x.com")
    assert router.find("GET", "/", "a." * 100 + "x.com") == ("/", {})
    assert router.find("GET", "/", "a." * 4000 + "x.com") == ("404", {})


def test_reverse_by_pattern_and_by_name() -> None:
    builder = RouterBuilder[str]()
    builder.add("/users/{id:int}", ["GET"], "get", name="user")
    router = builder.build(lambda _: "405", lambda _: "options", "404", head=lambda value: value)
    assert router.reverse("user", {"id": 7}) == "/users/7"
    assert router.reverse("/users/{id:int}", {"id": 7}) == "/users/7"
    with pytest.raises(CodecError, match="no route has the pattern or the name 'users'"):
        router.reverse("users", {"id": 7})
