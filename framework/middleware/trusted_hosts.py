"""The hosts this server answers for. A Host field is what a stranger wrote; links, redirects and caches believe it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from framework.errors import HTTPError, SetupError
from framework.http.request import Request
from framework.middleware.chain import Hooks
from framework.middleware.origins import DEFAULT_PORTS, split_host

__all__ = ["TrustedHosts"]

_MAX_SHOWN: Final = 100
_MAX_REMEMBERED: Final = 256
_is_name: Final = re.compile(r"[a-z0-9_-]++(?:\.[a-z0-9_-]++)*+").fullmatch


class TrustedHosts(Hooks):
    """Answers 421 (RFC 9110 sections 7.4 and 15.5.20) to requests for any other host. Hooks for phase EDGE.

    Behind trusted proxies the host they tell of counts, as in ``request.origin``; the word of others is not read.
    Nothing is redirected.

    Args:
        hosts: "example.com", ``*.example.com`` (all below it, not itself), "127.0.0.1", "[::1]"; any port unless one is
            named: "localhost:8000". Case and one final dot do not count.

    Raises:
        SetupError: with every entry that is no host.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        listed = [hosts] if isinstance(hosts, str) else list(hosts)
        problems = [text for host in listed if (text := _fault(host))]
        if not listed:
            problems.append("no hosts: leave the middleware out")
        if problems:
            raise SetupError([f"trusted hosts: {problem}" for problem in problems])
        names = [host.lower() for host in listed]
        self._hosts = tuple(names)
        self._allowed: set[tuple[str, str]] = set()
        self._exact = frozenset(host for host in names if not host.startswith("*"))
        self._below = tuple(host[1:] for host in names if host.startswith("*"))

    def before(self, request: Request) -> None:
        """Raises HTTPError 421 for a host that is not listed."""
        origin = request.origin
        if (origin.scheme, origin.host) in self._allowed:
            return
        if not self.allows(origin.host, origin.scheme):
            raise HTTPError(421, f"this server does not answer for the host {origin.host[:_MAX_SHOWN]!r}")
        if len(self._allowed) < _MAX_REMEMBERED:
            self._allowed.add((origin.scheme, origin.host))

    def allows(self, host: str, scheme: str = "http") -> bool:
        """Whether ``host``, with or without a port, is listed; ``scheme`` says which port it has by default."""
        found = split_host(host)
        if found is None:
            return False
        name = found[0].removesuffix(".")
        whole = f"{name}:{found[1] or DEFAULT_PORTS.get(scheme, '')}"
        if name in self._exact or whole in self._exact:
            return True
        return _is_name(name) is not None and (name.endswith(self._below) or whole.endswith(self._below))

    def __repr__(self) -> str:
        return f"<TrustedHosts {', '.join(self._hosts)}>"


def _fault(host: str) -> str | None:
    if host == "*":
        return "'*' is every host: leave the middleware out"
    found = split_host(host)
    if (
        found is None
        or host[-1:] == ":"
        or not (found[0][:1] == "[" or _is_name(found[0].removeprefix("*.")))
    ):
        return f"{host!r} is not written 'example.com', '*.example.com' or with a port 'example.com:8000'"
    return None
