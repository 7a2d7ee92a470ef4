"""One request as an ASGI application sees it: ``receive``, ``send``, and the response they make.

The application runs in one Task and the response goes out in another, so that the client has its answer as soon as it
is whole, whatever the application goes on with. A response that is whole at once meets no second Task: see ``calls``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, cast

from framework.asgi.answers import Head
from framework.asgi.files import open_body
from framework.asgi.pieces import Changes, Pieces
from framework.asgi.types import ClientDisconnected, Message
from framework.errors import LocalProtocolError, PeerClosed, RemoteProtocolError
from framework.http.request import Exchange, Request
from framework.http.response import Response
from framework.wire.leaves import encode_fields

__all__ = ["HTTPExchange", "is_gone", "is_told"]

_LOG: Final = logging.getLogger("framework.asgi")

# What has come of the response. WHOLE: all of it, though the application has not said so yet.
NOTHING: Final = 0
START: Final = 1
STREAM: Final = 2
WHOLE: Final = 3
ALL: Final = 4
TRAILING: Final = 5  # the body, and not yet the fields behind it


class HTTPExchange:
    """Receives and sends for one call of an application.

    Attributes:
        request: what it is called for.
        response: the answer, as soon as it is known: whole, or the head of a stream.
        lost: nobody waits for it any more: the client has gone.
        over: the application has returned, or raised ``error``.
        alone: it runs in a Task that is not the connection's, so that other Tasks run while it waits.
    """

    __slots__ = (
        "_body_taken",
        "_changes",
        "_head",
        "_hints",
        "_pieces",
        "_reading",
        "_stage",
        "alone",
        "error",
        "lost",
        "over",
        "request",
        "response",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.response: Response | None = None
        self.error: BaseException | None = None
        self.alone = False
        self.lost = False
        self.over = False
        self._stage = NOTHING
        self._head: Head | None = None
        self._pieces: Pieces | None = None
        self._body_taken = False
        self._reading = False
        self._hints = b""
        self._changes: Changes | None = None

    # -- the application's side -------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """``http.request`` until the body was had; then ``http.disconnect``, once the response is whole or the client
        has gone."""
        while self._reading:
            await self._change()
        if not self._body_taken and self._stage != ALL and not self.lost:
            request = self.request
            if request.received is not None or request.source is None:
                self._body_taken = True
                return {"type": "http.request", "body": request.received or b"", "more_body": False}
            return await self._receive_part(request)
        while self._stage != ALL and not self.lost:
            await self._change()
        return {"type": "http.disconnect"}

    async def _receive_part(self, request: Request) -> Message:
        source = request.source
        assert source is not None
        self._reading = True
        try:
            body = await source.receive()
        except (PeerClosed, RemoteProtocolError, LocalProtocolError):
            self._body_taken = True
            return {"type": "http.disconnect"}
        finally:
            self._reading = False
            self._changed()
        # Where the end has been seen, this saves a message that says only so.
        more = bool(body) and not getattr(source, "complete", False)
        self._body_taken = not more
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(self, message: Message) -> None:
        """Takes the next message of the response. A piece of a stream waits until the client has room for more.

        Raises:
            ClientDisconnected: the client has gone before its response was whole.
            RuntimeError: a message that is none, or out of its turn.
        """
        stage = self._stage
        if stage == ALL:
            return
        if self.lost:
            raise ClientDisconnected
        kind = message["type"]
        head = self._head
        if (
            stage == START
            and kind == "http.response.body"
            and not message.get("more_body")
            and cast("Head", head).trailers is None
        ):
            body = message.get("body", b"")
            if type(body) is not bytes:
                body = bytes(body)
            self.response = cast("Head", head).whole(body, self.request.method)
            self._stage = ALL
            if self.alone:
                await self._written()
        elif stage == NOTHING and kind == "http.response.start":
            head = self._head = Head(message["status"], message.get("headers", ()))
            if message.get("trailers"):
                head.trailers = []
            self._stage = START
        elif stage == TRAILING and kind == "http.response.trailers":
            await self._send_trailers(message)
        elif NOTHING < stage < ALL and kind == "http.response.body":
            await self._send_part(_body(message), more=bool(message.get("more_body")))
        elif stage == START and kind == "http.response.pathsend":
            await self._send_file(message["path"])
        elif kind == "http.response.early_hint" and stage <= STREAM:
            self._send_hint(message["links"])
        else:
            due = {NOTHING: "http.response.start", TRAILING: "http.response.trailers"}.get(
                stage, "http.response.body"
            )
            raise RuntimeError(f"expected {due} from the application, not {kind!r}")

    async def _send_part(self, body: bytes, *, more: bool) -> None:
        if self._stage == START:
            assert self._head is not None
            if self._head.length == len(body) and body and self._head.trailers is None:
                # All there is to come, though the application waits to say so (Starlette's middlewares do).
                self.response = self._head.whole(body, self.request.method)
                self._stage = WHOLE
                self._changed()
                return
            self._begin_stream(self._head)
        if self._stage == WHOLE:
            if body:
                raise RuntimeError("the body is longer than Content-Length says")
            if not more:
                self._stage = ALL
                self._changed()
            return
        assert self._pieces is not None
        if more:
            await self._pieces.offer(body)
        elif cast("Head", self._head).trailers is not None:
            self._stage = TRAILING
            if body:
                await self._pieces.offer(body)
        else:
            await self._pieces.end(body)
            self._stage = ALL
            await self._written()

    async def _send_trailers(self, message: Message) -> None:
        assert self._head is not None
        assert self._pieces is not None
        self._head.trail(message.get("headers", ()))
        if not message.get("more_trailers"):
            await self._pieces.end(b"")
            self._stage = ALL
            await self._written()

    def _begin_stream(self, head: Head) -> None:
        self._pieces = Pieces(head.length, self.lose)
        self.response = head.stream(self._pieces)
        self._stage = STREAM
        self._changed()

    async def _send_file(self, path: str) -> None:
        head = self._head
        assert head is not None
        body = await open_body(path)
        if head.length is None:
            head.length = body.size
        elif head.length != body.size:
            await body.aclose()
            raise RuntimeError(f"{path} has {body.size} bytes, and Content-Length says {head.length}")
        if self.lost:
            await body.aclose()
            raise ClientDisconnected
        self.response = head.whole(body.ready, self.request.method) if body.whole else head.stream(body)
        self._stage = ALL
        await self._written()

    def _send_hint(self, links: Iterable[bytes]) -> None:
        """103 (RFC 8297), which an HTTP/1.0 client would take for its response."""
        if self.request.minor == 0:
            return
        fields = encode_fields([("link", bytes(link).decode("latin-1")) for link in links])
        self._hints += b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % fields
        if self.alone:
            self._write_hints()

    def _write_hints(self) -> None:
        hints, self._hints = self._hints, b""
        write = getattr(self.request.exchange, "write", None)
        if write is not None:
            write(hints)

    async def _written(self) -> None:
        """A turn of the loop, in which the response is written: nothing that comes next can keep it from its client."""
        self._changed()
        await asyncio.sleep(0)

    # -- the server's side ------------------------------------------------------------------------------------------

    def goes_alone(self) -> None:
        """From now on the application runs in a Task that is not the connection's, which has written what was due."""
        self.alone = True
        if self._hints:
            self._write_hints()

    async def answer(self) -> Response:
        """Waits for the response. Raises what the application raised in place of one."""
        while self.response is None and not self.over:
            await self._change()
        return self.answered()

    def answered(self) -> Response:
        """The response of an application that has made one, or is over. Raises what it raised in place of one."""
        if self.response is None:
            raise self.error or RuntimeError("the application returned without a whole response")
        return self.response

    def ended(self, error: BaseException | None) -> None:
        """The application has returned, or raised ``error``."""
        self.over = True
        if self._pieces is not None and self._stage in (STREAM, TRAILING) and not self.lost:
            self._pieces.fail(
                error or RuntimeError("the application returned without the end of its response")
            )
        elif self.response is None and not self.lost:
            self.error = error
        elif error is not None and not is_told(error):
            _LOG.error(
                "the application failed behind its response to %s %s",
                self.request.method,
                self.request.raw_path,
                exc_info=error,
                extra={"request": self.request},
            )
        self._stage = ALL
        self._changed()

    async def until_over(self) -> None:
        """Waits for the application's end."""
        while not self.over:
            await self._change()

    def keeps(self, task: asyncio.Task[Any]) -> bool:
        """Whether it takes care of the application's Task, which goes on behind the response: it does not."""
        return False

    def lose(self) -> None:
        """The client has gone, or takes no more: ``receive`` says so, ``send`` refuses."""
        if not self.lost:
            self.lost = True
            if self._pieces is not None:
                self._pieces.close()
            self._changed()

    async def _change(self) -> None:
        if self._changes is None:
            self._changes = Changes()
        await self._changes.wait()

    def _changed(self) -> None:
        if self._changes is not None:
            self._changes.tell()


def is_gone(exchange: Exchange) -> bool:
    """Whether nobody is at the other end any more."""
    return cast("Any", getattr(exchange, "transport", exchange)) is None


def is_told(error: BaseException) -> bool:
    """Whether an error is only the answer to one of ours: "Servers must be prepared to catch this exception if they
    raised it and should not log it as an error in their server logs"."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (ClientDisconnected, asyncio.CancelledError)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _body(message: Message) -> bytes:
    body = message.get("body", b"")
    return body if type(body) is bytes else bytes(body)
