"""A whole response, and what a test says when it is not the one that was expected."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, TypeVar, overload

import msgspec

from framework.codec import DECODE_ERRORS, Decoder, decode_json
from framework.errors import CodecError
from framework.http.headers import Headers
from framework.http.problem import PROBLEM_JSON

__all__ = ["Answer", "UnexpectedAnswer"]

T = TypeVar("T")

_SHOWN: Final = 2000
_IN_REPR: Final = 120


class Answer:
    """A whole response.

    Attributes:
        status: the final status code.
        headers: looked up without regard to case; ``headers.items()`` has every pair in order.
        body: decoded from its chunks, not from a Content-Encoding.
        trailers: of a chunked body.
        informational: the status codes of the 1xx responses ahead of it.
        request: what it answers, such as "GET /users/7".
    """

    def __init__(
        self,
        status: int,
        headers: Headers,
        body: bytes = b"",
        trailers: list[tuple[str, str]] | None = None,
        informational: list[int] | None = None,
        *,
        request: str = "the request",
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.trailers = trailers or []
        self.informational = informational or []
        self.request = request

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, type: type[T]) -> T: ...
    def json(self, type: Any = None) -> Any:
        """The body as JSON; with ``type``, anything msgspec reads, as a value of it.

        Raises:
            CodecError: it is no JSON.
            AssertionError: it is not of that type; says every fault and shows the body.
        """
        if type is None:
            return decode_json(self.body)
        decoder = Decoder(type)
        try:
            return decoder.decode(self.body)
        except DECODE_ERRORS as error:
            told = decoder.explain(self.body, error)
            name = getattr(type, "__name__", type)
            faults = [
                f"{fault.pointer or 'the document'}: {fault.detail}" for fault in getattr(told, "errors", ())
            ]
            lines = "".join(f"\n  {fault}" for fault in faults) or f" {told}"
            raise AssertionError(f"{self.request}: its answer is no {name}:{lines}\n{self.shown}") from error

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457). Raises AssertionError where the answer is none."""
        if self.headers.get("content-type") != PROBLEM_JSON:
            raise AssertionError(f"{self.request} was not answered by a problem document\n{self.shown}")
        document: dict[str, Any] = decode_json(self.body)
        return document

    @property
    def shown(self) -> str:
        """Status, media type and body, as a failed test prints them."""
        kind = self.headers.get("content-type") or "no content-type"
        return f"{self.status}, {kind}, {len(self.body)} bytes\n{_readable(self.body)}"

    def expect(self, status: int | Container[int], cause: BaseException | None = None) -> Answer:
        """The answer itself where it has ``status``, or one of several.

        Raises:
            UnexpectedAnswer: it has not; ``cause`` is the error behind the answer, where that is known.
        """
        if self.status == status if isinstance(status, int) else self.status in status:
            return self
        raise UnexpectedAnswer(self, status) from cause

    def __repr__(self) -> str:
        text = self.body[:_IN_REPR].decode(errors="replace")
        more = "..." if len(self.body) > _IN_REPR else ""
        return f"<Answer {self.status} to {self.request}: {self.headers.get('content-type')} {text!r}{more}>"


class UnexpectedAnswer(AssertionError):
    """An answer with another status than the test expects. Shows its body: mostly a problem document says why.

    An error that no handler caught and that led to the answer is its ``__cause__``.
    """

    def __init__(self, answer: Answer, expected: object) -> None:
        self.answer = answer
        self.expected = expected
        super().__init__(answer, expected)

    def __str__(self) -> str:
        return f"{self.answer.request}: expected {self.expected}, the answer was {self.answer.shown}"


def _readable(body: bytes) -> str:
    try:
        shown = msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, CodecError, UnicodeDecodeError):
        shown = body[: 4 * _SHOWN].decode(errors="backslashreplace")
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}... ({len(shown)} characters)"
