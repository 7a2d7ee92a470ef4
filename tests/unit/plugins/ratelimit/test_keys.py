"""Whose limit it is."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import ConfigError
from framework.plugins.ratelimit.keys import MAX_KEY, USER, address_key, bounded, by_client, key_of
from framework.testing import fake_request


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_addresses(host: str, key: str) -> None:
    assert address_key(host) == key


@given(st.ip_addresses(v=4))
def test_r8_mapped_addresses_are_the_ipv4_that_they_are(address: ipaddress.IPv4Address) -> None:
    """meshmonitor PR 2001: masked as IPv6, all of IPv4 was one bucket."""
    assert address_key(f"::ffff:{address}") == str(address)
    packed = int(address)
    assert address_key(f"::ffff:{packed >> 16:x}:{packed & 0xFFFF:x}") == str(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_subscriber_has_one_key_whatever_address_of_the_64_is_used(
    address: ipaddress.IPv6Address, low: int
) -> None:
    if address.ipv4_mapped is None:
        other = ipaddress.IPv6Address(int(address) >> 64 << 64 | low)
        if other.ipv4_mapped is None:
            assert address_key(str(address)) == address_key(str(other))


def test_long_keys_are_hashed() -> None:
    assert bounded("k" * MAX_KEY) == "k" * MAX_KEY
    long = bounded("k" * (MAX_KEY + 1))
    assert len(long) <= MAX_KEY
    assert long != bounded("k" * (MAX_KEY + 2))
    assert bounded("\udcff" * 200).startswith("#")


def test_words() -> None:
    request = fake_request(headers={"x-api-key": "abc"})
    request.endpoint.pattern = "/items/{id}"
    assert key_of("client")(request) == by_client(request) == "192.0.2.1"
    assert key_of("route")(request) == "/items/{id}"
    assert key_of("all")(request) == "all"
    assert key_of("header:X-API-Key")(request) == "x-api-key abc"
    assert key_of("header:x-other")(request) == "192.0.2.1"
    assert key_of("user")(request) == "192.0.2.1"
    request[USER] = "ann"
    assert key_of("user")(request) == "user ann"
    assert key_of("user + route")(request) == "user ann /items/{id}"
    assert len(key_of("header:x-api-key")(fake_request(headers={"x-api-key": "k" * 5000}))) <= MAX_KEY


@pytest.mark.parametrize("word", ["", "ip", "header:", "client+ip"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="is no key"):
        key_of(word)
