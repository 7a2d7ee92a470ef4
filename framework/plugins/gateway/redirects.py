"""Routes that send clients elsewhere."""

from __future__ import annotations

import re

from framework.errors import SetupError
from framework.http.handler import Handler
from framework.http.request import Request
from framework.http.response import Response
from framework.plugins.gateway.config import Redirect
from framework.plugins.gateway.paths import written

__all__ = ["redirecting"]

_named = re.compile(r"\{([^}]*)\}")


def redirecting(config: Redirect) -> Handler:
    """A handler that answers with the redirect. Raises SetupError for a target that names what there is not.

    A path alone stays on the host that was asked: ``{path}`` begins with one slash, so that nothing a client writes
    can make another host of it.
    """
    unknown = sorted(set(_named.findall(config.to)) - {"path", "query"})
    if unknown or not re.match(r"https?://|/(?!/)|\{path\}", config.to):
        raise SetupError(
            f"redirect to {config.to!r}: it is an absolute URL or a path, with {{path}} and {{query}} in it at most"
        )

    async def redirect(request: Request) -> Response:
        values = {
            "path": written(request.path),
            "query": f"?{request.query_string}" if request.query_string else "",
        }
        location = _named.sub(lambda name: values[name[1]], config.to)
        return Response(b"", config.status, headers={"location": location})

    return redirect
