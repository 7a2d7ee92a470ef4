"""Only the word of trusted proxies counts, read from the right."""

from __future__ import annotations

from typing import Any

import pytest

from framework.errors import ConfigError
from framework.http.forwarded import Seen, TrustedProxies
from framework.http.headers import Headers

EDGE = "10.0.0.1"
INNER = "10.0.0.2"
CLIENT = "203.0.113.7"
NOTHING = Seen(None, None, None)
PRIVATE = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
STANDARD = TrustedProxies(["10.0.0.0/8", "fd00::/8"], family="forwarded")


def x_for(*lines: str) -> Headers:
    return Headers([("x-forwarded-for", line) for line in lines])


def forwarded(*lines: str) -> Headers:
    return Headers([("forwarded", line) for line in lines])


def test_ip_spoofed_through_x_forwarded_for() -> None:
    spoofed = "127.0.0.1, 10.0.0.9, 198.51.100.1"
    assert PRIVATE.resolve(CLIENT, x_for(spoofed)) == NOTHING
    assert PRIVATE.resolve(EDGE, x_for(f"{spoofed}, {CLIENT}")).client == CLIENT
    assert PRIVATE.resolve(EDGE, x_for(spoofed, CLIENT)).client == CLIENT
    assert PRIVATE.resolve(INNER, x_for(spoofed, f"{CLIENT}, {EDGE}")).client == CLIENT


def test_nobody_is_trusted_by_default() -> None:
    nobody = TrustedProxies([])
    fields = Headers([("x-forwarded-for", CLIENT), ("x-forwarded-proto", "https"), ("x-forwarded-host", "x")])
    for peer in ("127.0.0.1", "::1", EDGE, None, "", "nonsense"):
        assert not nobody.trusts(peer)
        assert nobody.resolve(peer, fields) == NOTHING


def test_a_trusted_peer_that_tells_nothing_changes_nothing() -> None:
    assert PRIVATE.resolve(EDGE, Headers([])) == NOTHING
    assert STANDARD.resolve(EDGE, Headers([])) == NOTHING
    assert PRIVATE.resolve(EDGE, x_for("")) == NOTHING


def test_a_chain_of_trusted_addresses_ends_at_its_left_most() -> None:
    assert PRIVATE.resolve(EDGE, x_for("10.1.1.1, 10.2.2.2")).client == "10.1.1.1"


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:123456",
        "[::1",
        "::1]",
        "[::1]x",
        "fe80::1%eth0",
        "unix:",
        "localhost",
        "1.2.3.4 5.6.7.8",
        "\u0661.2.3.4",
        '"1.2.3.4"',
    ],
)
def test_a_malformed_entry_stops_the_walk(broken: str) -> None:
    assert PRIVATE.resolve(EDGE, x_for(f"{CLIENT}, {broken}, {INNER}")).client == INNER
    assert PRIVATE.resolve(EDGE, x_for(f"{CLIENT}, {broken}")).client is None


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        (CLIENT, CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        (f"{CLIENT}:_port", CLIENT),
        ("2001:db8::1", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        (f"::ffff:{CLIENT}", CLIENT),
    ],
)
def test_addresses_have_one_spelling(entry: str, address: str) -> None:
    assert PRIVATE.resolve(EDGE, x_for(entry)).client == address
    assert PRIVATE.resolve("fd00::1", x_for(f"6.6.6.6, {entry}, ::ffff:10.0.0.3")).client == address


def test_the_peer_of_a_dual_stack_socket_is_known_by_its_ipv4_address() -> None:
    assert PRIVATE.trusts("::ffff:10.0.0.1")
    assert not PRIVATE.trusts("::ffff:192.0.2.1")
    assert TrustedProxies(["fe80::/10"]).trusts("fe80::1%eth0")


def test_a_unix_socket_is_trusted_only_when_configured() -> None:
    assert PRIVATE.resolve(None, x_for(CLIENT)) == NOTHING
    unix = TrustedProxies(["unix"])
    assert unix.resolve(None, x_for(f"6.6.6.6, {CLIENT}")).client == CLIENT
    assert not unix.trusts(CLIENT)


def test_hops_end_the_walk_even_among_trusted_addresses() -> None:
    chain = x_for(f"{CLIENT}, 10.0.0.3, 10.0.0.2")
    assert TrustedProxies(["10.0.0.0/8"], hops=1).resolve(EDGE, chain).client == "10.0.0.2"
    assert TrustedProxies(["10.0.0.0/8"], hops=2).resolve(EDGE, chain).client == "10.0.0.3"
    assert TrustedProxies(["10.0.0.0/8"], hops=3).resolve(EDGE, chain).client == CLIENT
    everybody = TrustedProxies(["0.0.0.0/0"], hops=1)
    assert everybody.resolve(EDGE, x_for(f"6.6.6.6, {CLIENT}")).client == CLIENT


def test_the_walk_is_bounded() -> None:
    everybody = TrustedProxies(["0.0.0.0/0"])
    addresses = [f"10.0.{number // 256}.{number % 256}" for number in range(5000)]
    assert everybody.resolve(EDGE, x_for(", ".join(addresses))).client == addresses[-32]


def proto(*values: str) -> Headers:
    return Headers([("x-forwarded-for", CLIENT), *(("x-forwarded-proto", value) for value in values)])


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        (["https"], "https"),
        (["HTTPS"], "https"),
        (["wss"], "https"),
        (["ws"], "http"),
        (["ftp"], None),
        (["https,"], None),
        ([], None),
    ],
)
def test_scheme(values: list[str], scheme: str | None) -> None:
    assert PRIVATE.resolve(EDGE, proto(*values)).scheme == scheme


def test_duplicate_x_forwarded_proto_cannot_be_shifted_by_the_client() -> None:
    for fields in (proto("https", "http"), proto("https, http"), proto("https, https", "http")):
        assert PRIVATE.resolve(EDGE, fields).scheme == "http"
    # An edge that appends behind an inner proxy that passes on: positions do not line up with the addresses.
    chain = Headers([("x-forwarded-for", f"{CLIENT}, {EDGE}"), ("x-forwarded-proto", "https, http")])
    assert PRIVATE.resolve(INNER, chain) == Seen(CLIENT, "http", None)


@pytest.mark.parametrize("host", ["example.com", "example.com:8443", "[2001:db8::1]:80", "under_score"])
def test_host(host: str) -> None:
    fields = Headers([("x-forwarded-host", "evil.example"), ("x-forwarded-host", host)])
    assert PRIVATE.resolve(EDGE, fields).host == host


@pytest.mark.parametrize(
    "host", ["", "a b", "evil.com/path", "user@evil.com", "a:b", "a:123456", "é", "<script>", "a\\b"]
)
def test_a_host_that_is_none_is_ignored(host: str) -> None:
    assert PRIVATE.resolve(EDGE, Headers([("x-forwarded-host", host)])).host is None
    assert STANDARD.resolve(EDGE, forwarded(f'for={CLIENT};host="{host}"')).host is None


def test_header_aliases_are_not_read() -> None:
    fields = Headers(
        [("x_forwarded_for", CLIENT), ("x_forwarded_proto", "https"), ("x-forwarded_host", "evil")]
    )
    assert PRIVATE.resolve(EDGE, fields) == NOTHING


def test_only_the_configured_family_is_read() -> None:
    both = Headers([("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2;proto=https")])
    assert PRIVATE.resolve(EDGE, both) == Seen("192.0.2.1", None, None)
    assert STANDARD.resolve(EDGE, both) == Seen("192.0.2.2", "https", None)


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ([f"for={CLIENT}"], Seen(CLIENT, None, None)),
        ([f"For={CLIENT}; Proto=https; Host=example.com; by=10.0.0.1"], Seen(CLIENT, "https", "example.com")),
        (['for="[2001:db8::1]:4711"'], Seen("2001:db8::1", None, None)),
        (['for="203.0.113.7:80";host="example.com:8443"'], Seen(CLIENT, None, "example.com:8443")),
        (
            [f"for=6.6.6.6;proto=http, for={CLIENT};proto=https;host=a, for={EDGE};proto=http;host=b"],
            Seen(CLIENT, "https", "a"),
        ),
        ([f"for=6.6.6.6, for={CLIENT}", f"for={EDGE}"], Seen(CLIENT, None, None)),
        # What the last trusted proxy says of a client it hides still holds for scheme and host.
        (["for=6.6.6.6, for=_hidden;proto=https"], Seen(None, "https", None)),
        ([f"for=6.6.6.6, for=unknown;proto=https, for={EDGE}"], Seen(EDGE, "https", None)),
        (["for=6.6.6.6, proto=https;host=a"], Seen(None, "https", "a")),
        # Broken elements end the walk.
        ([f"for=6.6.6.6, for=1.2.3.4;for=5.6.7.8, for={EDGE};proto=https"], Seen(EDGE, "https", None)),
        (["for=6.6.6.6, for=1.2.3.4:80"], NOTHING),
        (["for=6.6.6.6, for=2001:db8::1"], NOTHING),
        (["for=6.6.6.6, "], NOTHING),
        (["for=6.6.6.6, ;"], NOTHING),
        (["for=6.6.6.6, for = 1.2.3.4"], NOTHING),
        (['for=6.6.6.6, for="1.2.3.4'], NOTHING),
        (['for=6.6.6.6, for="1.2.3.\\4"'], NOTHING),
        (["for=6.6.6.6, for=1.2.3.4 for=5.6.7.8"], NOTHING),
    ],
)
def test_forwarded(lines: list[str], seen: Seen) -> None:
    assert STANDARD.resolve(EDGE, forwarded(*lines)) == seen


def test_an_unbalanced_quote_of_the_client_does_not_swallow_what_the_proxy_appends() -> None:
    for evil in ('for="', 'x="a, for=6.6.6.6;y="', 'for="6.6.6.6'):
        assert STANDARD.resolve(EDGE, forwarded(f"{evil}, for={CLIENT}")).client == CLIENT
        assert STANDARD.resolve(INNER, forwarded(f"{evil}, for={CLIENT}, for={EDGE}")).client == CLIENT


def test_wrong_settings_are_refused_all_at_once() -> None:
    wrong: list[Any] = ["10.0.0.1/8", "example.com", "*", "::ffff:10.0.0.0/104", "10.0.0.0/8"]
    with pytest.raises(ConfigError) as caught:
        TrustedProxies(wrong, hops=0)
    assert len(caught.value.problems) == 5
    with pytest.raises(ConfigError):
        TrustedProxies([], hops=33)
