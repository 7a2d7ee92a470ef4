"""Why the chat does not do something: an error with the code that the client gets."""

from __future__ import annotations

from framework.errors import FrameworkError

__all__ = ["ChatError"]


class ChatError(FrameworkError):
    """A request was refused, and nothing of it was done.

    Attributes:
        code: one of those of ``protocol.Error``.
        retry_after: seconds after which trying again makes sense, None where it does not.
    """

    def __init__(self, code: str, text: str, retry_after: float | None = None) -> None:
        self.code = code
        self.text = text
        self.retry_after = retry_after
        super().__init__(code, text, retry_after)

    def __str__(self) -> str:
        return self.text
