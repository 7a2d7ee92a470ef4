"""Which fields go on: no client's bytes can remove or add one that is trusted (G2, G3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.http.request import Address, Origin, Request
from framework.plugins.gateway.fields import Forwarding, request_fields, response_fields, says_more
from framework.wire.leaves import Limits, parse_request

PEER = Address("192.0.2.1", 4711)


class Seat:
    """A connection; ``client`` is whom trusted proxies tell of."""

    scheme = "http"

    def __init__(self, client: Address | None = PEER, peer: Address | None = PEER) -> None:
        self.peer = peer
        self.client = client

    def extra(self, name: str) -> None:
        return None

    def resolve(self, request: Request) -> Origin:
        return Origin(self.client, "https", "shop.example")

    def after_response(self, function: object, args: object) -> None:
        raise AssertionError


def asking(*lines: str, seat: Seat | None = None) -> Request:
    head = "\r\n".join(["GET / HTTP/1.1", "host: a", *lines, "", ""]).encode("latin-1")
    request = parse_request(head, 0, Limits(), Request)
    assert request is not None
    request.exchange = seat or Seat()
    return request


def names(request: Request) -> list[str]:
    return [name for name, _ in request_fields(request)]


def test_hop_by_hop_fields_stay_here() -> None:
    request = asking(
        "connection: close, X-Hop , x-other",
        "x-hop: 1",
        "x-other: 2",
        "te: trailers",
        "keep-alive: timeout=5",
        "proxy-authorization: Basic abc",
        "proxy-connection: keep-alive",
        "upgrade: websocket",
        "trailer: x",
        "accept: */*",
        "cookie: a=b",
    )
    assert names(request) == ["accept", "cookie"]


@pytest.mark.parametrize(
    "name", ["host", "authorization", "cookie", "content-type", "content-length", "cache-control"]
)
def test_connection_g2_takes_away_nothing_that_matters(name: str) -> None:
    assert name not in says_more(f"{name}, {name.upper()}")
    if name not in ("host", "content-length"):
        assert name in names(asking(f"connection: {name}", f"{name}: x"))


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "x_forwarded_for",
        "X.Forwarded.Proto",
        "Forwarded",
        "x-real_ip",
        "X_Forwarded-Host",
        "Via",
        "x.original.url",
    ],
)
def test_aliases_g3_of_forwarding_fields_are_dropped(name: str) -> None:
    assert names(asking(f"{name}: spoofed", "x-mine: 1")) == ["x-mine"]


NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)


@given(
    st.lists(st.tuples(NAMES, st.from_regex(r"[ -~]{0,20}", fullmatch=True)), max_size=8),
    st.lists(NAMES, max_size=4),
)
def test_property_g2_no_client_bytes_remove_or_add_a_trusted_field(
    fields: list[tuple[str, str]], named: list[str]
) -> None:
    framing = {"content-length", "transfer-encoding", "host", "connection", "expect"}
    lines = [f"{name}: {value}" for name, value in fields if name.lower() not in framing]
    request = asking(*lines, f"connection: {', '.join([*named, 'x-forwarded-for', 'via'])}")
    sent = [*request_fields(request), *Forwarding(append=True, via="gw").fields(request)]
    found = dict(sent)
    assert found["x-forwarded-for"] == "192.0.2.1"
    assert found["x-forwarded-proto"] == "https"
    assert found["x-forwarded-host"] == "shop.example"
    assert found["via"].endswith("1.1 gw")
    trusted = [name for name, _ in sent if name.replace("_", "-").replace(".", "-").startswith("x-forwarded")]
    assert trusted == ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]


def test_a_trusted_proxys_word_goes_on_with_its_own_address_behind() -> None:
    told = "x-forwarded-for: 203.0.113.9"
    proxied = asking(told, seat=Seat(client=Address("203.0.113.9", 0)))
    assert (
        dict(Forwarding(append=True, via="").fields(proxied))["x-forwarded-for"] == "203.0.113.9, 192.0.2.1"
    )
    assert dict(Forwarding(append=False, via="").fields(proxied))["x-forwarded-for"] == "203.0.113.9"
    direct = asking(told)
    assert dict(Forwarding(append=True, via="").fields(direct))["x-forwarded-for"] == "192.0.2.1"
    local = asking(seat=Seat(client=None, peer=None))
    assert dict(Forwarding(append=True, via="").fields(local))["x-forwarded-for"] == "unknown"


def test_via_is_added_to() -> None:
    request = asking("via: 1.0 a, 1.1 b", "via: 1.1 c")
    assert dict(Forwarding(append=True, via="gw").fields(request))["via"] == "1.0 a, 1.1 b, 1.1 c, 1.1 gw"


def test_fields_of_responses() -> None:
    fields = [
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("date", "now"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("content-type", "text/plain"),
        ("server", "x"),
    ]
    kept = response_fields([*fields, ("connection", "close"), ("connection", "x-hop")])
    assert kept == [
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("content-type", "text/plain"),
        ("server", "x"),
    ]
