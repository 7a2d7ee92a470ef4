"""However the bytes of pipelined requests are split, and whoever suspends, the answers are the same, in order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.http.request import Request
from framework.http.response import Response, StreamingResponse
from tests.support.harness import App, Client, Harness, harness
from tests.support.pieces import split
from tests.support.replies import Reply

KINDS = ("inline", "plain", "suspends", "reads late", "streams", "ignores", "fails", "echoes")


async def _digest(request: Request) -> Response:
    body = await request.body()
    return Response(f"{request.target} {len(body)} {hashlib.sha256(body).hexdigest()}")


async def _suspends(request: Request) -> Response:
    await asyncio.sleep(0.01)
    return await _digest(request)


async def _reads_late(request: Request) -> Response:
    response = await _digest(request)
    await asyncio.sleep(0)
    return response


async def _streams(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""
        for number in range(3):
            await asyncio.sleep(0)
            yield b"%d" % number

    await request.body()
    return StreamingResponse(pieces())


async def _ignores(request: Request) -> Response:
    return Response("ignored")


async def _fails(request: Request) -> Response:
    await request.body()
    raise ValueError


async def _echoes(request: Request) -> Response:
    return StreamingResponse(request.stream())


def _plain(request: Request) -> Response:
    return Response(request.target)


def app() -> App:
    made = App()
    made.add("/inline", _digest)
    made.add("/suspends", _suspends)
    made.add("/reads-late", _reads_late)
    made.add("/streams", _streams)
    made.add("/ignores", _ignores)
    made.add("/fails", _fails)
    made.add("/echoes", _echoes)
    made.add("/plain", _plain, is_async=False)
    return made


@dataclass(frozen=True)
class Sent:
    """A request: its bytes, and what it must be answered with."""

    data: bytes
    method: str


def _chunks(body: bytes, sizes: list[int]) -> bytes:
    parts: list[bytes] = []
    for size in sizes:
        piece, body = body[:size], body[size:]
        if piece:
            parts.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    if body:
        parts.append(b"%x\r\n%b\r\n" % (len(body), body))
    return b"".join(parts)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    kind = draw(st.sampled_from(KINDS)).replace(" ", "-")
    method = draw(st.sampled_from(["GET", "POST", "HEAD"]))
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    lines = ["host: example.com"]
    body = b""
    if framing != "none":
        content = draw(st.binary(max_size=300))
        if framing == "length":
            lines.append(f"content-length: {len(content)}")
            body = content
        else:
            lines.append("transfer-encoding: chunked")
            trailer = draw(st.sampled_from([b"", b"x-sum: 1\r\n"]))
            sizes = draw(st.lists(st.integers(1, 50), max_size=4))
            body = _chunks(content, sizes) + b"0\r\n" + trailer + b"\r\n"
    blank = draw(st.sampled_from(["", "", "", "\r\n"]))
    head = f"{blank}{method} /{kind}?{draw(st.integers(0, 9))} HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n"
    return Sent(head.encode() + body, method)


def answers(sent: list[Sent], server: Harness, cuts: list[int], *, wait: bool = False) -> list[Reply]:
    """The answers to requests whose bytes come in pieces; with ``wait`` the server has time in between."""
    data = b"".join(request.data for request in sent)
    client = server.connect()
    for piece in split(data, cuts):
        if wait:
            client.send(piece)
            server.advance(0.003)
        else:
            server.loop.call_soon(client.transport.feed, piece)
    server.advance(5)
    assert not client.closed
    return _undated(client, sent)


def _undated(client: Client, sent: list[Sent]) -> list[Reply]:
    replies = client.replies(*(request.method for request in sent))
    return [_without_id(reply.without_date()) for reply in replies]


def _without_id(reply: Reply) -> Reply:
    """An unexpected error is told with the id of its request."""
    if reply.status != 500:
        return reply
    return Reply(500, (), b"", reply.complete)


CHEAP = settings(max_examples=150, deadline=None)


@CHEAP
@given(
    st.lists(requests(), min_size=1, max_size=8), st.lists(st.integers(0, 4000), max_size=12), st.booleans()
)
def test_any_split_gives_the_same_answers(sent: list[Sent], cuts: list[int], wait: bool) -> None:
    with harness(app(), max_drained_body=10_000) as server:
        alone: list[Reply] = []
        for request in sent:
            alone += answers([request], server, [])
        assert len(alone) == len(sent)
        if not any(_is_unread_chunked(request) for request in sent):
            assert answers(sent, server, cuts, wait=wait) == alone


def _is_unread_chunked(request: Sent) -> bool:
    """Whose end the connection cannot outlive, if the answer is ready before the body is there."""
    unread = b"/ignores" in request.data or b"/plain" in request.data
    head_echo = request.method == "HEAD" and (b"/echoes" in request.data)
    return (unread or head_echo) and b"transfer-encoding" in request.data


@settings(max_examples=60, deadline=None)
@given(
    st.lists(requests(), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(0, 2000),
    st.lists(st.integers(1, 2000), max_size=30),
)
def test_a_reader_of_any_slowness_gets_the_same_answers(
    sent: list[Sent], turns: int, room: int, taken: list[int]
) -> None:
    data = b"".join(request.data for request in sent)
    with harness(app(), max_drained_body=10_000, max_pipelined_per_turn=turns) as server:
        quick = answers(sent, server, [])
        slow = server.connect(high=200)
        slow.transport.room = room
        slow.send(data)
        for size in taken:
            server.advance(0.05)
            slow.take(size)
        slow.take(None)
        server.advance(5)
        assert _undated(slow, sent) == quick


@settings(max_examples=100, deadline=None)
@given(
    st.lists(requests(), min_size=1, max_size=5),
    st.binary(max_size=60),
    st.lists(st.integers(0, 3000), max_size=6),
    st.sampled_from(["reset", "eof", "wait"]),
    st.integers(0, 3000),
)
def test_whatever_comes_nothing_is_left_behind(
    sent: list[Sent], rubbish: bytes, cuts: list[int], end: str, at: int
) -> None:
    """Good requests with rubbish among them, cut short anywhere: nothing raises, hangs, or stays."""
    data = b"".join(request.data for request in sent)
    at %= len(data) + 1
    data = data[:at] + rubbish + data[at:]
    with harness(app(), header_timeout=1.0, body_timeout=1.0, keep_alive_timeout=2.0) as server:
        client = server.connect()
        for piece in split(data, cuts):
            client.send(piece)
        if end == "reset":
            client.reset()
        elif end == "eof":
            client.send_eof()
        server.advance(20)
        assert client.transport.lost
        assert not server.core.connections
        assert not server.core.runners.active
        assert client.transport.late == []
        replies = client.replies(*(request.method for request in server.app.requests))
        assert len(replies) <= len(server.app.requests) + 1, "one refusal at most, and the last of all"
        assert all(reply.complete for reply in replies[:-1])
