"""Asks a cluster a question of the gateway's own: forward authentication."""

from __future__ import annotations

from collections.abc import Sequence

from framework.balancing import Failure
from framework.errors import FrameworkError, RemoteProtocolError, TransportError
from framework.net.client import OutgoingRequest, Timeouts
from framework.plugins.auth import Answer
from framework.plugins.gateway.upstreams import Upstream
from framework.wire.request_head import encode_request_head

__all__ = ["ask"]

MAX_ANSWER = 65_536


async def ask(upstream: Upstream, path: str, fields: Sequence[tuple[str, str]], timeout: float) -> Answer:
    """``GET path`` with these fields. Raises FrameworkError where there is no answer in ``timeout`` seconds."""
    attempt = upstream.begin(None, ())
    endpoint = attempt.endpoint
    head = encode_request_head("GET", path, [("host", upstream.authority(endpoint)), *fields])
    times = Timeouts(acquire=timeout, connect=timeout, head=timeout, body_idle=timeout, total=timeout)
    try:
        raw = await upstream.pool(endpoint).exchange(OutgoingRequest(method="GET", head=head, timeouts=times))
    except (TransportError, RemoteProtocolError):
        attempt.failed(Failure.LOCAL)
        raise
    except BaseException:
        attempt.cancelled()
        raise
    attempt.answered()
    try:
        body = b""
        while piece := await raw.receive():
            body += piece
            if len(body) > MAX_ANSWER:
                break
    except FrameworkError:
        attempt.failed(Failure.LOCAL)
        raise
    except BaseException:
        attempt.cancelled()
        raise
    finally:
        raw.close()
    if raw.head.status >= 500:
        attempt.failed(Failure.STATUS)
    else:
        attempt.succeeded()
    return Answer(raw.head.status, [(name, value) for name, value in raw.head.fields()], body[:MAX_ANSWER])
