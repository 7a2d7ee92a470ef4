"""What an application sends, and what its client gets."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.harness import request_bytes
from tests.unit.asgi.hosted import hosted, reply_with, start

TEXT = (b"content-type", b"text/plain")


def body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_a_response_whole_at_once_is_one_write_with_its_length() -> None:
    with hosted(reply_with(start(200, TEXT), body(b"hello"))) as server:
        client = server.connect()
        for _ in range(3):
            reply = client.get()
            assert (reply.status, reply.body, reply["content-length"]) == (200, b"hello", "5")
            assert reply["content-type"] == "text/plain"
        assert len(client.transport.writes) == 3


def test_nothing_is_sent_before_the_first_body_message() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(404))
        await go.wait()
        raise LookupError("still time for an error response")

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        assert client.raw() == b""
        server.call(go.set)
        assert client.reply().status == 500


def test_headers_keys_may_be_left_out() -> None:
    with hosted(
        reply_with({"type": "http.response.start", "status": 204}, {"type": "http.response.body"})
    ) as server:
        reply = server.connect().get()
        assert (reply.status, reply.body) == (204, b"")


def test_repeated_fields_and_capitals_come_through() -> None:
    headers = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"X-Padded", b"  v\t")]
    with hosted(reply_with(start(200, *headers), body(b"x"))) as server:
        reply = server.connect().get()
        assert reply.all("set-cookie") == ["a=1", "b=2"]
        assert reply["x-padded"] == "v"


def test_what_frames_the_message_is_the_servers() -> None:
    """ "You may send a Transfer-Encoding header in this message, but the server must ignore it.\""""
    headers = [(b"transfer-encoding", b"chunked"), (b"connection", b"keep-alive"), (b"date", b"yesterday")]
    with hosted(reply_with(start(200, *headers), body(b"x"))) as server:
        client = server.connect()
        reply = client.get()
        assert (reply.body, reply["content-length"]) == (b"x", "1")
        assert "transfer-encoding" not in reply
        assert reply["date"] != "yesterday"
        assert not client.closed


def test_an_application_may_ask_for_the_end_of_the_connection() -> None:
    with hosted(reply_with(start(200, (b"connection", b"close")), body(b"x"))) as server:
        client = server.connect()
        assert client.get()["connection"] == "close"
        assert client.closed


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
def test_a_body_may_be_like_bytes(data: Any) -> None:
    with hosted(reply_with(start(), body(data))) as server:
        assert server.connect().get().body == b"abc"


@pytest.mark.parametrize("length", [b"4", b"2", b"0x3", b"+3", b"3 ", b"-3", b""])
def test_a_content_length_that_is_wrong_is_an_error_the_application_sees(length: bytes) -> None:
    seen: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(start(200, (b"content-length", length)))
            await send(body(b"abc"))
        except RuntimeError as error:
            seen.append(error)
            raise

    with hosted(app) as server:
        assert server.connect().get().status == 500
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("name", "value"), [(b"x", b"a\r\nset-cookie: b"), (b"x y", b"a"), (b"", b"a"), (b"x", b"\0")]
)
def test_a_field_that_would_split_the_response_is_an_error(name: bytes, value: bytes) -> None:
    with hosted(reply_with(start(200, (name, value)), body(b"abc"))) as server:
        reply = server.connect().get()
        assert reply.status == 500
        assert "set-cookie" not in reply


def test_head_has_the_length_of_get_and_no_body() -> None:
    with hosted(reply_with(start(200, (b"content-length", b"3")), body(b"abc"))) as server:
        client = server.connect()
        client.send(request_bytes("HEAD"))
        reply = client.reply("HEAD")
        assert (reply["content-length"], reply.body) == ("3", b"")
    with hosted(reply_with(start(200, (b"content-length", b"3000")), body())) as server:
        client = server.connect()
        client.send(request_bytes("HEAD"))
        assert client.reply("HEAD")["content-length"] == "3000"


def test_head_of_a_stream_ends_the_application_by_its_send() -> None:
    ended: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"for ever", more=True))
        except OSError as error:
            ended.append(error)

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("HEAD"))
        assert client.reply("HEAD").body == b""
        assert len(ended) == 1
        client.send(request_bytes("HEAD"))  # the connection lives on
        assert client.reply("HEAD").status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content_have_none(status: int) -> None:
    with hosted(reply_with(start(status, (b"content-length", b"3")), body(b"abc"))) as server:
        client = server.connect()
        reply = client.get()
        assert (reply.status, reply.body) == (status, b"")
        assert client.get().status == status


def test_a_stream_without_a_length_is_chunked() -> None:
    with hosted(
        reply_with(start(200, TEXT), body(b"one", more=True), body(b"two", more=True), body(b"three"))
    ) as server:
        client = server.connect()
        reply = client.get()
        assert (reply["transfer-encoding"], reply.body) == ("chunked", b"onetwothree")
        assert client.get().body == b"onetwothree"


def test_a_stream_with_a_length_is_framed_by_it() -> None:
    messages = start(200, (b"content-length", b"6")), body(b"one", more=True), body(b"two", more=True), body()
    with hosted(reply_with(*messages)) as server:
        reply = server.connect().get()
        assert (reply["content-length"], reply.body) == ("6", b"onetwo")


def test_a_stream_to_an_http_1_0_client_ends_with_the_connection() -> None:
    with hosted(reply_with(start(), body(b"one", more=True), body(b"two"))) as server:
        client = server.connect()
        client.send(request_bytes(minor=0))
        reply = client.reply()
        assert reply.body == b"onetwo"
        assert "transfer-encoding" not in reply
        assert client.closed


def test_a_first_piece_that_is_empty_sends_the_head() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, TEXT))
        await send(body(b"", more=True))
        await go.wait()
        await send(body(b"late"))

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        assert client.raw().startswith(b"HTTP/1.1 200 OK\r\n")
        server.call(go.set)
        assert client.raw().endswith(b"4\r\nlate\r\n0\r\n\r\n")


def test_a_body_that_is_all_there_is_sent_though_more_body_is_said() -> None:
    """As Starlette's BaseHTTPMiddleware sends every response: one write, no stream."""
    headers = (b"content-length", b"5")
    with hosted(reply_with(start(200, headers), body(b"hello", more=True), body())) as server:
        client = server.connect()
        assert client.get().body == b"hello"
        assert len(client.transport.writes) == 1


@pytest.mark.parametrize("pieces", [[b"abc", b"defg"], [b"abcdefg"], [b"abcdef", b"g"]])
def test_a_stream_longer_than_its_length_is_cut(pieces: list[bytes]) -> None:
    seen: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"6")))
        try:
            for piece in pieces:
                await send(body(piece, more=True))
        except RuntimeError as error:
            seen.append(error)
            raise

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        assert len(seen) == 1
        data = client.raw()
        assert b"g" not in data.partition(b"\r\n\r\n")[2]


def test_a_stream_shorter_than_its_length_is_cut() -> None:
    with hosted(reply_with(start(200, (b"content-length", b"9")), body(b"abc", more=True), body())) as server:
        client = server.connect()
        client.send(request_bytes())
        assert client.raw().endswith(b"abc")
        assert client.transport.aborted


@pytest.mark.parametrize(
    "messages",
    [
        [body(b"x")],
        [start(), start()],
        [start(), {"type": "http.response.unheard"}],
        [{"type": "websocket.accept"}],
        [start(), {"type": "http.response.trailers", "headers": []}],
    ],
)
def test_messages_out_of_turn_are_errors(messages: list[dict[str, Any]]) -> None:
    with hosted(reply_with(*messages)) as server:
        assert server.connect().get().status == 500


def test_messages_behind_a_whole_response_are_ignored() -> None:
    """ "Any further messages on the channel will be ignored.\""""
    with hosted(reply_with(start(), body(b"x"), body(b"y"), start(500))) as server:
        client = server.connect()
        assert client.get().body == b"x"
        assert client.get().body == b"x"


def test_an_error_ahead_of_the_response_is_a_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a secret")

    with hosted(app) as server, caplog.at_level(logging.ERROR):
        client = server.connect()
        reply = client.get()
        assert reply.status == 500
        assert b"secret" not in reply.body
        assert not client.closed
    assert any(record.exc_info and record.exc_info[0] is LookupError for record in caplog.records)


@pytest.mark.parametrize("messages", [[], [start()]])
def test_an_application_that_returns_without_a_response_is_a_500(messages: list[dict[str, Any]]) -> None:
    with hosted(reply_with(*messages)) as server:
        assert server.connect().get().status == 500


@pytest.mark.parametrize("fails", [True, False])
def test_an_application_that_ends_in_mid_stream_cuts_the_connection(fails: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"part", more=True))
        if fails:
            raise LookupError("gone")

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        data = client.raw()
        assert data.endswith(b"4\r\npart\r\n")
        assert client.transport.aborted


def test_an_error_behind_the_response_leaves_that_alone_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As Starlette's ServerErrorMiddleware does: it answers with 500, then raises for the server's log."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(500))
        await send(body(b"my own error page"))
        raise LookupError("for the log")

    with hosted(app) as server, caplog.at_level(logging.ERROR):
        client = server.connect()
        assert client.get().body == b"my own error page"
        assert client.get().body == b"my own error page"
    assert [record.name for record in caplog.records] == ["framework.asgi"] * 2


def test_what_goes_on_behind_the_response_keeps_neither_it_nor_the_next_request_waiting() -> None:
    go = asyncio.Event()
    done: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(scope["path"].encode()))
        await go.wait()
        done.append(scope["path"])

    with hosted(app) as server:
        client = server.connect()
        assert client.get("/one").body == b"/one"
        assert client.get("/two").body == b"/two"
        assert done == []
        server.call(go.set)
        server.settle()
        assert done == ["/one", "/two"]


def test_an_application_that_waits_first_is_answered_when_it_is_done() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await send(start())
        await send(body(b"slow"))

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes() * 3)
        server.advance(3.5)
        assert [reply.body for reply in client.replies("GET", "GET", "GET")] == [b"slow"] * 3


def test_pipelined_requests_are_answered_in_one_write() -> None:
    with hosted(reply_with(start(), body(b"hello"))) as server:
        client = server.connect()
        client.send(request_bytes() * 5)
        assert len(client.replies(*["GET"] * 5)) == 5
        assert len(client.transport.writes) == 1


def test_the_task_stays_the_same_and_timeouts_work_in_it() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        before = asyncio.current_task()
        try:
            async with asyncio.timeout(5):
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(1))
                await asyncio.sleep(60)
        except TimeoutError:
            seen.append(asyncio.current_task() is before)
        await send(start())
        await send(body(b"in time"))

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        server.advance(6)
        assert client.reply().body == b"in time"
        assert seen == [True]


def test_a_piece_waits_until_the_client_has_room_for_more() -> None:
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        for number in range(100):
            await send(body(b"x" * 1000, more=True))
            sent.append(number)
        await send(body())

    with hosted(app) as server:
        client = server.connect(high=4000)
        client.take(0)
        client.send(request_bytes())
        assert len(sent) < 8
        client.take(None)
        server.settle()
        assert len(sent) == 100
        assert client.reply().body == b"x" * 100_000


def test_pieces_of_several_tasks_come_one_by_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())

        async def part(letter: bytes) -> None:
            for _ in range(5):
                await send(body(letter * 3, more=True))

        async with asyncio.TaskGroup() as group:
            for letter in (b"a", b"b", b"c"):
                group.create_task(part(letter))
        await send(body())

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes())
        got = client.reply().body
        assert {got[at : at + 3] for at in range(0, len(got), 3)} == {b"aaa", b"bbb", b"ccc"}
        assert len(got) == 45


def hint(*links: bytes) -> dict[str, Any]:
    return {"type": "http.response.early_hint", "links": links}


def test_early_hints_go_out_ahead_of_the_response_and_behind_the_one_before() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await send(hint(b"</style.css>; rel=preload", b"</x.js>; rel=preload"))
            await asyncio.sleep(1)
        await send(start())
        await send(body(b"page"))

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes("GET", "/fast") + request_bytes("GET", "/slow"))
        early = client.raw()
        expected = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\nlink: </x.js>; rel=preload\r\n\r\n"
        assert early.startswith(b"HTTP/1.1 200 OK\r\n")
        assert early.endswith(b"page" + expected)
        server.advance(2)
        assert client.reply().body == b"page"


def test_an_http_1_0_client_gets_no_early_hints() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(hint(b"</style.css>; rel=preload"))
        await asyncio.sleep(1)
        await send(start())
        await send(body(b"page"))

    with hosted(app) as server:
        client = server.connect()
        client.send(request_bytes(minor=0))
        server.advance(2)
        assert b"103" not in client.raw()


@given(pieces=st.lists(st.binary(max_size=200), min_size=1, max_size=8), sized=st.booleans())
def test_any_pieces_arrive_as_they_were_sent(pieces: list[bytes], sized: bool) -> None:
    whole = b"".join(pieces)
    headers = [(b"content-length", b"%d" % len(whole))] if sized else []
    messages = [body(piece, more=True) for piece in pieces]
    with hosted(reply_with(start(200, *headers), *messages, body())) as server:
        client = server.connect()
        assert client.get().body == whole
        assert not client.closed
        assert client.get().body == whole


def trailing(*headers: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.trailers", "headers": list(headers), "more_trailers": more}


@pytest.mark.parametrize("pieces", [(body(b"abc"),), (body(b"ab", more=True), body(b"c")), (body(),)])
def test_trailers_follow_the_body(pieces: tuple[dict[str, Any], ...]) -> None:
    app = reply_with(
        start(200, TEXT, trailers=True),
        *pieces,
        trailing((b"X-Digest", b" 1 "), more=True),
        trailing((b"x-time", b"2")),
    )
    with hosted(app) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n")
        assert client.raw().endswith(b"0\r\nx-digest: 1\r\nx-time: 2\r\n\r\n")
        assert server.connect().get().status == 200, "who does not ask for them has the body alone"


def test_trailers_of_a_body_with_a_length_are_dropped() -> None:
    app = reply_with(
        start(200, (b"content-length", b"3"), trailers=True), body(b"abc"), trailing((b"x-digest", b"1"))
    )
    with hosted(app) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nhost: x\r\nte: trailers\r\n\r\n")
        assert client.raw().endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(
    "messages",
    [
        [start(200, trailers=True), trailing()],
        [start(200, trailers=True), body(b"x"), body(b"y")],
        [start(200), body(b"x", more=True), trailing()],
    ],
)
def test_trailers_out_of_turn_are_errors(messages: list[dict[str, Any]]) -> None:
    errors: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await reply_with(*messages)(scope, receive, send)
        except RuntimeError as error:
            errors.append(str(error))
            raise

    with hosted(app) as server:
        server.connect().send(request_bytes())
    assert len(errors) == 1
    assert errors[0].startswith("expected http.response.")


def test_an_application_that_returns_without_its_trailers_cuts_the_connection() -> None:
    with hosted(reply_with(start(200, trailers=True), body(b"x"))) as server:
        client = server.connect()
        client.send(request_bytes())
        assert client.transport.aborted
