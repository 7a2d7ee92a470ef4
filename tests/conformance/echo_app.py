"""An app that answers every method on every target with what it received, for conformance runs.

``python tests/conformance/echo_app.py [port]`` serves it on 127.0.0.1.
"""

from __future__ import annotations

import hashlib
import sys

from framework import Endpoint, Request, Response, Server, ServerSettings
from framework.codec import encode_json
from framework.middleware import ErrorMap
from framework.net.core import Core
from framework.net.loop import run

__all__ = ["EchoRuntime"]


async def echo(request: Request) -> Response:
    body = await request.body()
    document = {
        "method": request.method,
        "target": request.target,
        "headers": list(request.headers.raw),
        "body_len": len(body),
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    return Response(encode_json(document), media_type="application/json")


class EchoRuntime:
    """Leads every request to ``echo``, whatever its target."""

    def __init__(self) -> None:
        errors = ErrorMap()
        self._endpoint = Endpoint(echo, errors.render, pattern="*", max_body=64 * 1024 * 1024)
        self._errors = errors

    def find(self, request: Request) -> Endpoint:
        request.params = {}
        return self._endpoint

    def started(self, core: Core) -> None: ...

    def failed(self, request: Request, error: BaseException) -> Response:
        return self._errors.render(request, error)


async def main(port: int) -> None:
    server = Server(EchoRuntime(), ServerSettings(port=port))
    await server.start()
    sys.stderr.write(f"{server.urls[0]}\n")
    await server.run()


if __name__ == "__main__":
    run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8099))
