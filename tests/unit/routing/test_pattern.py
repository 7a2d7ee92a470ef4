"""The grammar of patterns and hosts."""

from __future__ import annotations

import pytest

from framework.errors import SetupError
from framework.routing.converters import NARROW, WIDE
from framework.routing.pattern import Param, Pattern, join, parse_host
from framework.routing.pattern import parse as parse_with

CONVERTERS = {**NARROW, **WIDE}


def parse(text: str) -> Pattern:
    return parse_with(text, CONVERTERS)


def test_segments_and_parameters() -> None:
    pattern = parse("/users/{id:int}/posts/{slug}")
    assert pattern.text == "/users/{id:int}/posts/{slug}"
    assert pattern.segments == (
        "users",
        Param("id", "int", NARROW["int"]),
        "posts",
        Param("slug", "str", WIDE["str"]),
    )
    assert [param.name for param in pattern.params] == ["id", "slug"]


def test_the_end_counts() -> None:
    assert parse("/").segments == ("",)
    assert parse("/users").segments == ("users",)
    assert parse("/users/").segments == ("users", "")


def test_the_shape_forgets_names_only() -> None:
    assert parse("/a/{x}/b").shape == parse("/a/{y:str}/b").shape
    assert parse("/a/{x}/b").shape != parse("/a/{x:int}/b").shape
    assert parse("/a/{x}").shape != parse("/a/{x}/").shape


def test_text_is_written_decoded_but_for_the_kept_escapes() -> None:
    assert parse("/café/a b/x%2Fy/100%25").segments == ("café", "a b", "x%2Fy", "100%25")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must start with '/'"),
        ("users", "must start with '/'"),
        ("//users", "empty segment"),
        ("/a//b", "empty segment"),
        ("/a/../b", "'..' never occurs"),
        ("/./a", "'.' never occurs"),
        ("/a\x00b", "never occurs"),
        ("/a%41", "an escape"),
        ("/a%2f", "an escape"),
        ("/a?b={b}", "braces"),
        ("/a?b=1", "'?'"),
        ("/a#b", "'#'"),
        ("/{id}.json", "whole segment"),
        ("/v{n:int}", "whole segment"),
        ("/{a}{b}", "whole segment"),
        ("/{id", "whole segment"),
        ("/id}", "whole segment"),
        ("/{}", "'' cannot be the name"),
        ("/{1d}", "'1d' cannot be the name"),
        ("/{class}", "'class' cannot be the name"),
        ("/{naïve}", "cannot be the name"),
        ("/{id:}", "no converter ''"),
        ("/{id:itn}", "no converter 'itn', only escaped, float, int, path, str, uuid"),
        ("/{rest:path}/x", "must be last"),
        ("/{rest:path}/", "must be last"),
        ("/{rest:escaped}/x", "'escaped' parameter 'rest' takes all that remains and must be last"),
        ("/{id}/x/{id:int}", "two parameters are called 'id'"),
    ],
)
def test_faults_name_the_pattern_and_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(SetupError) as caught:
        parse(text)
    assert repr(text) in str(caught.value)
    assert problem in str(caught.value)


def test_every_fault_of_a_pattern_is_told_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        parse("/{a:nope}/../{b}.json/{c}/{c}")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("prefix", "pattern", "joined"),
    [
        ("", "/users", "/users"),
        ("/", "/users", "/users"),
        ("/api", "/users", "/api/users"),
        ("/api/", "/users", "/api/users"),
        ("/api", "/", "/api/"),
        ("/api", "", "/api"),
        ("/orgs/{org}", "/users/{id:int}", "/orgs/{org}/users/{id:int}"),
        ("", "", "/"),
        ("/", "", "/"),
    ],
)
def test_join(prefix: str, pattern: str, joined: str) -> None:
    assert join(prefix, pattern) == joined


@pytest.mark.parametrize(("prefix", "pattern"), [("api", "/users"), ("/api", "users")])
def test_join_refuses_parts_without_a_slash(prefix: str, pattern: str) -> None:
    with pytest.raises(SetupError, match="must start with '/'"):
        join(prefix, pattern)


def test_hosts() -> None:
    assert parse_host("Example.COM").shape == "example.com"
    assert parse_host("*.example.com").shape == "*.example.com"
    tenant = parse_host("{Tenant}.Example.com")
    assert (tenant.shape, tenant.name, tenant.suffix) == ("{}.example.com", "Tenant", "example.com")
    assert parse_host("[::1]").shape == "[::1]"
    assert parse_host("localhost").shape == "localhost"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "example.com:80",
        "*",
        "*.",
        "a.*.com",
        "{a}",
        "{a}.{b}.com",
        "*.[::1]",
        "a..b",
        "exa mple.com",
        "é.com",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(SetupError, match="host"):
        parse_host(text)


def test_a_host_parameter_needs_a_name() -> None:
    with pytest.raises(SetupError, match="'1' cannot be the name"):
        parse_host("{1}.example.com")
