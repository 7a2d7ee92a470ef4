"""Who asks, as told by proxies that are trusted: ``Forwarded`` (RFC 7239) or the ``X-Forwarded-*`` fields.

Whoever speaks to us may write anything into these fields. A trusted proxy appends what it saw itself, so
they are read from the right: each entry is believed because the address to its right, which wrote it, is
trusted. The first address that is not trusted is the client; what stands left of it is the client's own
invention.

Nobody is trusted unless configured. What is not understood ends the walk, and the last address known stays
the client: a malformed, empty, obfuscated or "unknown" entry hides a client behind its proxy, never behind
another client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal, NamedTuple, TypeAlias

from framework.errors import ConfigError
from framework.http.headers import Headers

__all__ = ["Seen", "TrustedProxies"]

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

UNIX: Final = "unix"
_MAX_HOPS: Final = 32

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# RFC 7239 section 4. A quoted value with an escape in it is refused: no address, scheme or host needs one.
_pair = re.compile(
    rf"[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|\"([\t !#-\[\]-~\x80-\xff]*+)\")[ \t]*+)?+(?:;|\Z)"
).match
_node = re.compile(r"(?:([0-9.]++)|\[([0-9A-Fa-f:.]++)\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]++))?+").fullmatch
_bare_ipv6 = re.compile(r"[0-9A-Fa-f:.]++").fullmatch
_is_host = re.compile(r"(?:[0-9A-Za-z._-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?+").fullmatch
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Seen(NamedTuple):
    """What the proxies tell; None where they tell nothing and the connection's own holds."""

    client: str | None
    scheme: str | None
    host: str | None


_NOTHING: Final = Seen(None, None, None)


class TrustedProxies:
    """The proxies whose word is taken.

    Args:
        networks: addresses and networks ("10.0.0.0/8", "::1"); "unix" for a peer on a unix socket.
        hops: how many proxies there are at most; the walk stops there even among trusted addresses.
        family: the one family of fields that is read; the other may come from anyone and is ignored.

    Raises:
        ConfigError: with every entry that is no network.
    """

    __slots__ = ("_family", "_hops", "_networks", "_unix")

    def __init__(
        self,
        networks: Sequence[str],
        hops: int | None = None,
        family: Literal["x-forwarded", "forwarded"] = "x-forwarded",
    ) -> None:
        problems: list[str] = []
        self._networks: list[_Network] = []
        for text in networks:
            if text != UNIX:
                try:
                    self._networks.append(_network(text))
                except ValueError as error:
                    problems.append(f"trusted proxies: {error}")
        if hops is not None and not 1 <= hops <= _MAX_HOPS:
            problems.append(f"trusted proxies: hops must be 1 to {_MAX_HOPS}, not {hops}")
        if problems:
            raise ConfigError(problems)
        self._unix = UNIX in networks
        self._hops = hops or _MAX_HOPS
        self._family = family

    def trusts(self, peer: str | None) -> bool:
        """Whether the peer's word is taken; None is a peer on a unix socket."""
        if peer is None:
            return self._unix
        try:
            return self._within(_unmapped(ip_address(peer)))
        except ValueError:
            return False

    def resolve(self, peer: str | None, headers: Headers) -> Seen:
        """Client, scheme and host of a request.

        Args:
            peer: the address of the connection's other end; None on a unix socket.
            headers: the request's.
        """
        if not self.trusts(peer):
            return _NOTHING
        return self._by_forwarded(headers) if self._family == "forwarded" else self._by_x_forwarded(headers)

    def _by_x_forwarded(self, headers: Headers) -> Seen:
        """X-Forwarded-For is walked. Of -Proto and -Host the right-most value holds.

        Their values are not bound to addresses as those of Forwarded are, and proxies that append stand
        beside proxies that pass on: counting positions would let a client shift its own value into place.
        The right-most is the word of the nearest proxy that says anything.
        """
        client: str | None = None
        for entry in self._entries(headers.combined("x-forwarded-for")):
            address = _address(entry) or _bare(entry)
            if address is None:
                break
            client = str(address)
            if not self._within(address):
                break
        scheme = _last(headers.combined("x-forwarded-proto"))
        host = _last(headers.combined("x-forwarded-host"))
        return Seen(client, _SCHEMES.get(scheme.lower()), host if _is_host(host) else None)

    def _by_forwarded(self, headers: Headers) -> Seen:
        """Each element binds address, scheme and host together: those of the last element believed hold."""
        seen = _NOTHING
        for entry in self._entries(headers.combined("forwarded")):
            told = _element(entry)
            if told is None:
                break
            scheme, host = _SCHEMES.get(told.get("proto", "").lower()), told.get("host", "")
            address = _address(told.get("for", ""))
            client = seen.client if address is None else str(address)
            seen = Seen(client, scheme, host if _is_host(host) else None)
            if address is None or not self._within(address):
                break
        return seen

    def _entries(self, field: str | None) -> list[str]:
        """The entries from the right, at most one for each hop."""
        if not field:
            return []
        return [entry.strip(" \t") for entry in field.rsplit(",", self._hops)[: -self._hops - 1 : -1]]

    def _within(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _network(text: str) -> _Network:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text!r} must be written as an IPv4 network")
    return network


def _unmapped(address: _Address) -> _Address:
    """An IPv4 client of a dual-stack socket is ``::ffff:1.2.3.4``: one name for lists and limits."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _address(node: str) -> _Address | None:
    """The address of a node (RFC 7239 section 6), without its port; None for "unknown" and hidden names."""
    found = _node(node)
    return None if found is None else _parsed(found[1] or found[2])


def _bare(entry: str) -> _Address | None:
    """An IPv6 address without brackets, as X-Forwarded-For has them."""
    return _parsed(entry) if _bare_ipv6(entry) else None


def _parsed(text: str) -> _Address | None:
    try:
        return _unmapped(ip_address(text))
    except ValueError:
        return None


def _last(field: str | None) -> str:
    return (field or "").rpartition(",")[2].strip(" \t")


def _element(text: str) -> dict[str, str] | None:
    """The pairs of a forwarded-element, None when it breaks the grammar or repeats a name (section 4)."""
    told: dict[str, str] = {}
    position = 0
    while position < len(text):
        pair = _pair(text, position)
        if pair is None or (pair[1] or "").lower() in told:
            return None
        if pair[1]:
            told[pair[1].lower()] = pair[2] or pair[3] or ""
        position = pair.end()
    return told or None
