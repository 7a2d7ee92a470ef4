from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import LocalProtocolError
from framework.net.client.url import URL, parse_url
from framework.wire.request_head import request_line


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://x", URL("http", "x", 80, "/")),
        ("https://x", URL("https", "x", 443, "/")),
        ("WS://X.Example:8080/a", URL("ws", "x.example", 8080, "/a")),
        ("wss://x/", URL("wss", "x", 443, "/")),
        ("http://x?q=1", URL("http", "x", 80, "/?q=1")),
        ("http://x/a?b#c?d", URL("http", "x", 80, "/a?b")),
        ("http://x#f", URL("http", "x", 80, "/")),
        ("http://[::1]:81/", URL("http", "::1", 81, "/")),
        ("http://[::1]/", URL("http", "::1", 80, "/")),
        ("http://x:/", URL("http", "x", 80, "/")),
        ("http://x/a b/ä%20", URL("http", "x", 80, "/a%20b/%C3%A4%20")),
        ("http://bücher.example/", URL("http", "xn--bcher-kva.example", 80, "/")),
        ("http://x//y", URL("http", "x", 80, "//y")),
        ("http://x/a@b:c", URL("http", "x", 80, "/a@b:c")),
    ],
)
def test_what_a_url_comes_to(text: str, url: URL) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "//x/a",
        "x",
        "ftp://x/",
        "http:/x",
        "http://",
        "http:///a",
        "http://:80/",
        "http://user@x/",
        "http://user:secret@x/",
        "http://x:0/",
        "http://x:65536/",
        "http://x:+1/",
        "http://x:1_0/",
        "http://x:١/",
        "http://[::1/",
        "http://::1/",
        "http://[x]/",
        "http://x y/",
        "http://x\\y/",
        "http://x/\r\nHost: y",
        "http://x/\0",
        "http://x\t/",
        "http://ä..b/",
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_refused_or_makes_one_request_line(host: str, target: str) -> None:
    try:
        url = parse_url(f"http://{host}/{target}")
    except LocalProtocolError:
        return
    line = request_line("GET", url.target)
    assert line.count(b" ") == 2
    assert line.count(b"\r\n") == 1
