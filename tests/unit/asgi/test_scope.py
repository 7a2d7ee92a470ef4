"""The connection scope, key by key (ASGI HTTP and WebSocket message format, version 2.5)."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from framework.asgi.scope import tls_extension
from tests.support.harness import request_bytes
from tests.unit.asgi.hosted import hosted, start


def scope_of(data: bytes, *, extra: dict[str, Any] | None = None, **settings: Any) -> Any:
    """The scope that a request makes."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send(start())
        await send({"type": "http.response.body"})

    with hosted(app, **settings) as server:
        client = server.connect(**(extra or {}))
        client.send(data)
        assert client.reply().status == 200
    return seen[0]


def test_every_key_of_an_http_scope() -> None:
    scope = scope_of(request_bytes("GET", "/a/b?x=%20&y", accept="*/*"))
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b",
        "raw_path": b"/a/b",
        "query_string": b"x=%20&y",
        "root_path": "",
        "headers": [(b"host", b"example.com"), (b"accept", b"*/*")],
        "client": ("192.0.2.1", 40_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {
            "http.response.pathsend": {},
            "http.response.early_hint": {},
            "http.response.trailers": {},
        },
    }


def test_header_names_are_in_lower_case_and_repeated_ones_keep_their_order() -> None:
    lines = b"X-One: 1\r\nCOOKIE: a=1\r\nx-one: 2\r\nX-Latin: \xe9\r\n"
    scope = scope_of(b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert scope["headers"][1:] == [
        (b"x-one", b"1"),
        (b"cookie", b"a=1"),
        (b"x-one", b"2"),
        (b"x-latin", b"\xe9"),
    ]


@pytest.mark.parametrize(
    ("target", "path", "raw"),
    [
        ("/%C3%A9t%C3%A9", "/été", b"/%C3%A9t%C3%A9"),
        ("/a%2Fb", "/a/b", b"/a%2Fb"),
        ("/a/../b//c", "/a/../b//c", b"/a/../b//c"),
        ("/%ff", "/\N{REPLACEMENT CHARACTER}", b"/%ff"),
        ("http://example.com/x?q", "/x", b"/x"),
        ("http://example.com", "/", b"/"),
    ],
)
def test_path_is_decoded_and_raw_path_as_it_was_sent(target: str, path: str, raw: bytes) -> None:
    scope = scope_of(request_bytes("GET", target))
    assert (scope["path"], scope["raw_path"]) == (path, raw)


def test_http_1_0_and_an_unknown_method() -> None:
    scope = scope_of(request_bytes("BREW", "/pot", minor=0))
    assert (scope["http_version"], scope["method"]) == ("1.0", "BREW")


def test_each_request_has_a_scope_of_its_own() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert "http.response.early_hint" in scope["extensions"]
        assert scope["state"] == {}
        for part in (scope["asgi"], scope["extensions"], scope["state"], scope["headers"]):
            part.clear() if isinstance(part, list) else part.update(mine=1)
        scope["asgi"]["version"] = "0"
        scope["extensions"].clear()
        await send(start(200, (b"x-headers", b"%d" % len(scope["headers"]))))
        await send({"type": "http.response.body"})

    with hosted(app) as server:
        client = server.connect()
        for _ in range(2):
            assert client.get().status == 200


def test_a_trusted_proxy_tells_client_and_scheme() -> None:
    fields = {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https"}
    told = scope_of(request_bytes(**fields), trusted_proxies=("192.0.2.1",))
    assert (told["client"], told["scheme"]) == (("203.0.113.9", 0), "https")
    untold = scope_of(request_bytes(**fields))
    assert (untold["client"], untold["scheme"]) == (("192.0.2.1", 40_000), "http")


def test_a_unix_socket_is_told_by_its_path() -> None:
    scope = scope_of(request_bytes(), extra={"peername": "", "sockname": "/run/app.sock"})
    assert (scope["client"], scope["server"]) == (None, ("/run/app.sock", None))


class Encrypted:
    """What is asked of an ``ssl.SSLObject``; integration tests ask a real one."""

    def __init__(self, subject: Any = None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.verify_mode = ssl.CERT_OPTIONAL if subject else ssl.CERT_NONE
        self.subject = subject

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)

    def getpeercert(self, binary_form: bool = False) -> Any:
        return b"not parsed here" if binary_form else {"subject": self.subject}


def test_the_tls_extension_tells_version_and_cipher_by_number() -> None:
    scope = scope_of(request_bytes(), extra={"ssl_object": Encrypted()})
    assert scope["scheme"] == "https"
    assert scope["extensions"]["tls"] == {
        "server_cert": None,
        "client_cert_chain": (),
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1301,
    }


def test_a_clients_certificate_is_told_with_its_name_as_rfc_4514_writes_it() -> None:
    subject = ((("countryName", "DE"),), (("organizationName", "A, B+C"),), (("commonName", "#x "),))
    told = tls_extension(Encrypted(subject))
    assert told["client_cert_name"] == r"CN=\#x\ ,O=A\, B\+C,C=DE"
    (pem,) = told["client_cert_chain"]
    assert pem.startswith("-----BEGIN CERTIFICATE-----")


def test_tls_that_ended_elsewhere_is_not_guessed_at() -> None:
    told = tls_extension(None)
    assert (told["tls_version"], told["cipher_suite"]) == (None, None)
