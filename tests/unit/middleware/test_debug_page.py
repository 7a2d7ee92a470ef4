"""The page for an unexpected error: complete, escaped, without secrets, and no longer than it must be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape

import pytest

from framework.middleware.debug_page import debug_page
from framework.testing import fake_request


def page(error: BaseException, headers: dict[str, str] | None = None, target: str = "/x?q=1") -> str:
    return debug_page(fake_request("GET", target, headers), error)


def raised(function: Callable[..., object], *args: object) -> BaseException:
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError


def titles(html: str) -> list[str]:
    return [unescape(title) for title in re.findall(r"<h2>(.*?)</h2>", html)]


def marked(html: str) -> list[str]:
    """The lines of code that are marked, in order."""
    return [unescape(line).strip() for line in re.findall(r"<span class='at'><i>\d+</i>(.*?)</span>", html)]


def fails() -> None:
    raise LookupError("the <message> & more")


def chained() -> None:
    try:
        fails()
    except LookupError as error:
        raise ValueError("second") from error


def handling() -> None:
    try:
        fails()
    except LookupError:
        raise ValueError("third")  # noqa: B904


def suppressed() -> None:
    try:
        fails()
    except LookupError:
        raise ValueError("fourth") from None


def grouped() -> None:
    raise BaseExceptionGroup("several", [raised(fails), ValueError("other")])


def endless() -> None:
    endless()


def test_the_error_its_place_and_the_request() -> None:
    html = page(raised(fails), {"user-agent": "test"})
    assert "<h1>LookupError</h1><div class='message'>the &lt;message&gt; &amp; more</div>" in html
    assert "<p>GET /x?q=1</p>" in html
    assert marked(html)[-1] == 'raise LookupError("the <message> & more")'
    assert "<tr><th>user-agent</th><td>test</td></tr>" in html
    assert titles(html) == ["Traceback, most recent call last", "Request", "As text"]


def test_what_led_to_it() -> None:
    assert titles(page(raised(chained)))[1] == "Caused by LookupError: the <message> & more"
    assert titles(page(raised(handling)))[1] == "While handling LookupError: the <message> & more"
    assert titles(page(raised(suppressed)))[1] == "Request"


def test_the_parts_of_a_group() -> None:
    assert titles(page(raised(grouped)))[1:3] == [
        "Part 1 of the group: LookupError: the <message> & more",
        "Part 2 of the group: ValueError: other",
    ]


def test_an_endless_recursion_is_told_once() -> None:
    html = page(raised(endless))
    assert re.search(r"and so on, \d+ more times", html)
    assert len(html) < 20_000


def test_library_calls_are_folded_and_the_last_call_never() -> None:
    html = page(raised(json.loads, "{"))
    assert re.search(r"<details><summary>\d calls? in libraries</summary>", html)
    assert "<b>raw_decode</b>" in html.rpartition("</details><div class='frame'>")[2]


def test_nothing_of_the_request_or_the_error_is_markup() -> None:
    class Named(Exception): ...

    Named.__qualname__ = "<img>"
    html = page(Named("<script>alert(1)</script>"), {"x-a": "<b>"}, "/x?<script>")
    assert not re.search(r"<(script|img|b>)", html.replace("<b>", "", html.count("<div class='place'><b>")))


@pytest.mark.parametrize(
    "name", ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrf-token", "x-secret"]
)
def test_credentials_are_left_out(name: str) -> None:
    html = page(raised(fails), {name: "s3cret-value"})
    assert "s3cret-value" not in html
    assert f"<tr><th>{name}</th><td>(hidden)</td></tr>" in html


def test_errors_without_text_without_traceback_and_with_a_broken_text() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise LookupError

    assert "(no message)" in page(ValueError())
    assert "exception str() failed" in unescape(page(Broken()))


def test_an_immense_message_is_cut() -> None:
    assert len(page(ValueError("x" * 1_000_000)).partition("As text")[0]) < 20_000


def test_it_follows_the_colours_of_the_system_and_loads_nothing() -> None:
    html = page(raised(fails))
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html
    assert not re.search(r"<(link|script|img)|src=|url\(|https?:", html)
