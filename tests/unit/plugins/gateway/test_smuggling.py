"""What two servers in a row could read in two ways, judged by what the upstream received."""

from __future__ import annotations

import re

import pytest

from tests.conformance.test_smuggling import CANARY, REFUSED_BODIES, REFUSED_HEADS, REFUSED_LINES, SERVED
from tests.support.gateways import gateway_before
from tests.support.scripted import Peer

pytestmark = pytest.mark.anyio

CONFIG = {"clusters": {}, "routes": {"r": {"cluster": "c"}}}


def lines_of(case: list[str]) -> bytes:
    host = [] if any(line.startswith("Host") for line in case) else ["Host: h"]
    head = "".join(f"{line}\r\n" for line in ("POST / HTTP/1.1", *host, *case, ""))
    return head.encode("latin-1") + b"0\r\n\r\nX" + CANARY


CASES = {
    **{name: lines_of(case) for name, case in REFUSED_LINES.items()},
    **{
        name: b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body + CANARY
        for name, body in REFUSED_BODIES.items()
    },
    **{name: head + CANARY for name, head in REFUSED_HEADS.items()},
}


class Backend:
    """Reads strictly, and keeps all that came."""

    def __init__(self) -> None:
        self.received = b""
        self.requests: list[tuple[bytes, bytes]] = []

    async def play(self, peer: Peer) -> None:
        while True:
            head = await peer.head()
            self.received += head
            length = re.search(rb"\r\ncontent-length: ([0-9]+)\r\n", head)
            body = b""
            if length is not None:
                body = await peer.take(int(length[1]))
            elif b"\r\ntransfer-encoding: chunked\r\n" in head:
                while (size := int((await peer.until(b"\r\n"))[:-2], 16)) > 0:
                    body += await peer.take(size)
                    assert await peer.take(2) == b"\r\n"
                while await peer.until(b"\r\n") != b"\r\n":
                    pass
            self.received += body
            self.requests.append((head.split(b"\r\n")[0], body))
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def test_smuggled_requests_g1_never_reach_the_upstream() -> None:
    """Each case on a connection of its own. A body that turns out broken may have begun to go on; it never ends there,
    and what is hidden in it is no request."""
    backend = Backend()

    def config(urls: dict[str, str]) -> dict[str, object]:
        return {**CONFIG, "clusters": {"c": {"endpoints": [urls["a"]]}}}

    async with gateway_before({"a": backend.play}, config) as front:
        for name, data in CASES.items():
            raw = await front.dial()
            raw.write(data)
            answer = await raw.read_to_end()
            status = int(answer.split(b" ", 2)[1])
            assert 400 <= status < 600, name
            assert answer.count(b"HTTP/1.1 ") == 1, name
            assert b"canary" not in backend.received, name
            assert backend.requests == [], name


@pytest.mark.parametrize(("field", "body"), SERVED.values(), ids=SERVED.keys())
async def test_what_only_looks_odd_goes_on_with_one_meaning_g1(field: str, body: bytes) -> None:
    backend = Backend()

    def config(urls: dict[str, str]) -> dict[str, object]:
        return {**CONFIG, "clusters": {"c": {"endpoints": [urls["a"]]}}}

    async with gateway_before({"a": backend.play}, config) as front:
        raw = await front.dial()
        raw.write(f"POST / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n".encode() + body + CANARY)
        await raw.read_until(b"ok")
        await raw.read_until(b"ok")
    assert backend.requests == [(b"POST / HTTP/1.1", b"hello"), (b"GET /canary HTTP/1.1", b"")]
    for head in backend.received.split(b"\r\n\r\n"):
        assert head.lower().count(b"\r\ncontent-length:") + head.lower().count(b"\r\ntransfer-encoding:") <= 1


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        (b"/public/../admin", b"GET /admin "),
        (b"/public/%2e%2e/admin", b"GET /admin "),
        (b"/public/.%2E/admin", b"GET /admin "),
        (b"/public//..//admin", b"GET /admin "),
        (b"/%61dmin", b"GET /admin "),
        (b"/public/..%2fadmin", None),
        (b"/public/%2e%2e%2fadmin", None),
        (b"/public%2f..%2fadmin", None),
        (b"/public%2F..;%2Fadmin", None),
        (b"/public%2F%2E%2E", None),
        (b"/%2Fadmin", None),
        (b"/%2F%2fadmin", None),
        (b"/admin%2F", None),
        (b"/admin%2fusers", None),
        (b"/admin%2F..%2Fpublic", None),
        (b"/.%2Fadmin", None),
        (b"/public/..%2F..%2F..%2Fetc", None),
        (b"/public/..%5cadmin", None),
        (b"/public/..;/admin", None),
        (b"/admin%00", None),
        (b"/admin%2500", None),
        (b"\\admin", None),
    ],
)
async def test_encoded_paths_g17_are_one_path_to_router_policies_and_upstream(
    target: bytes, answer: bytes | None
) -> None:
    """The rule stands before /admin alone. However a client spells it, what the upstream takes for /admin met it."""
    heads: list[bytes] = []

    async def play(peer: Peer) -> None:
        while True:
            heads.append(await peer.head())
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def config(urls: dict[str, str]) -> dict[str, object]:
        guarded = {"cluster": "c", "match": {"path": "/admin"}, "policies": {"deny": ["127.0.0.0/8"]}}
        return {
            "clusters": {"c": {"endpoints": [urls["a"]]}},
            "routes": {"open": {"cluster": "c"}, "guarded": guarded},
        }

    async with gateway_before({"a": play}, config) as front:
        raw = await front.dial()
        raw.write(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        got = await raw.read_to_end()
    if answer is not None:
        assert got.startswith(b"HTTP/1.1 403")
        assert heads == []
        return
    assert got.startswith(b"HTTP/1.1 400") is not target.startswith(b"/admin%2500")
    assert [head.split(b" ")[1] for head in heads] in ([], [b"/admin%2500"])
