"""Care for responses that are meant for one client alone."""

from __future__ import annotations

from framework.http.response import PLAIN, Response

__all__ = ["keep_from_shared_caches", "unshared"]


def unshared(response: Response) -> Response:
    """A copy to write into what is meant for one client, such as a cookie.

    A handler may answer every request with the same object; a cookie put there would reach them all. Responses that
    can be sent only once (streams) are returned as they are.
    """
    if response.kind != PLAIN:
        return response
    made = Response(response.body, response.status, media_type=response.media_type)
    if response.fields is not None:
        made.headers.pairs[:] = response.fields.pairs
    return made


def keep_from_shared_caches(response: Response) -> None:
    """Makes it ``no-store`` unless it says ``private`` or ``no-store`` itself (RFC 9111 section 5.2.2).

    Vary: Cookie does not suffice: all who come without a cookie yet would get the one made for the first of them.
    """
    headers = response.headers
    directives = ",".join(headers.get_all("cache-control")).lower()
    if "no-store" not in directives and "private" not in directives:
        headers.set("cache-control", "no-store")
