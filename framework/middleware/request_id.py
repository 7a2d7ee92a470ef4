"""Request ids: taken from the client where it may name one, made otherwise, sent back."""

from __future__ import annotations

import re
from typing import Final

from framework.http.request import Request
from framework.http.response import Response
from framework.middleware.chain import Hooks

__all__ = ["RequestId"]

_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._=+/:-]{1,128}").fullmatch


class RequestId(Hooks):
    """Gives every request an id, in ``request.id`` and in the response.

    Args:
        header: name of the field.
        trust_client: takes the client's own id if it is 1 to 128 harmless characters. Leave it off at the edge of a
            network: an id a stranger chose can be made to collide with another's.
    """

    def __init__(self, header: str = "x-request-id", *, trust_client: bool = False) -> None:
        self._header = header.lower()
        self._trust_client = trust_client

    def before(self, request: Request) -> None:
        """Takes the client's id, where it may name one."""
        if self._trust_client:
            sent = request.field(self._header)
            if sent is not None and _ACCEPTABLE(sent):
                request.id = sent

    def after(self, request: Request, response: Response) -> None:
        """Sends the id back."""
        response.headers.set(self._header, request.id)
