"""Heads for the tests of the wire, read by the twin that the environment chose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.errors import RemoteProtocolError
from framework.wire.leaves import Limits, RequestHead, parse_request


def request_bytes(line: str = "GET / HTTP/1.1", *fields: str) -> bytes:
    """A whole head: ``line``, a Host field unless ``fields`` bring one, ``fields``."""
    hosts = [] if any(field.lower().startswith("host") for field in fields) else ["Host: h"]
    return "".join(f"{each}\r\n" for each in (line, *hosts, *fields, "")).encode("latin-1")


@pytest.fixture(scope="session")
def read() -> Callable[..., RequestHead]:
    """Reads a good head from its line and fields."""

    def read(line: str = "GET / HTTP/1.1", *fields: str) -> RequestHead:
        data = request_bytes(line, *fields)
        head = parse_request(data, 0, Limits(), RequestHead)
        assert head is not None
        assert head.end == len(data)
        return head

    return read


@pytest.fixture(scope="session")
def refusal() -> Callable[..., int]:
    """The status that answers a faulty head, given by its line and fields."""

    def refusal(line: str = "GET / HTTP/1.1", *fields: str) -> int:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_request(request_bytes(line, *fields), 0, Limits(), RequestHead)
        return caught.value.status

    return refusal
