"""What a try that came to nothing means: for a retry, for the endpoint's health, and for the client."""

from __future__ import annotations

from framework.balancing import Failure
from framework.errors import HTTPError, PeerClosed, RemoteProtocolError, ResourceError
from framework.net.client import ConnectError, ExchangeDeadline, StaleConnection
from framework.resilience import Outcome

__all__ = ["Failed", "failed_by", "unavailable"]


class Failed(Exception):
    """A try that came to nothing: what it was, and what the client gets if it was the last (``is_final``: it was)."""

    def __init__(
        self, outcome: Outcome, answer: HTTPError, failure: Failure | None, *, is_final: bool = False
    ) -> None:
        super().__init__(outcome)
        self.is_final = is_final
        self.outcome = outcome
        self.answer = answer
        self.failure = failure


def failed_by(error: Exception) -> Failed:
    """What an exchange's error means. Raises the error where it means nothing of this kind."""
    if isinstance(error, ConnectError):
        return Failed(Outcome.NOT_SENT, unavailable("the upstream cannot be reached"), Failure.LOCAL)
    if isinstance(error, StaleConnection):
        return Failed(Outcome.STALE, HTTPError(502, "the upstream closed the connection"), None)
    if isinstance(error, ExchangeDeadline):
        if error.phase == "acquire":
            return Failed(Outcome.NOT_SENT, unavailable("the upstream is busy"), None)
        sent = error.phase not in ("connect",)
        outcome = Outcome.LATE if sent else Outcome.NOT_SENT
        return Failed(outcome, HTTPError(504, "the upstream took too long"), Failure.LOCAL)
    if isinstance(error, ResourceError):  # PoolExhausted, or a cluster that was closed meanwhile
        return Failed(Outcome.NOT_SENT, unavailable("the upstream is busy"), None)
    if isinstance(error, RemoteProtocolError):
        return Failed(Outcome.BROKEN, HTTPError(502, "the upstream's answer is broken"), Failure.LOCAL)
    if isinstance(error, PeerClosed):
        return Failed(Outcome.BROKEN, HTTPError(502, "the upstream closed the connection"), Failure.LOCAL)
    raise error


def unavailable(text: str, seconds: float = 1.0) -> HTTPError:
    """503 with the time after which trying again makes sense."""
    return HTTPError(503, text, headers={"retry-after": str(max(1, round(seconds)))})
