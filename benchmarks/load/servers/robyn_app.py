"""Robyn; the order is decoded by msgspec. It takes one pair of hooks, so five layers are not asked of it."""

from __future__ import annotations

import sys
from collections import Counter

import msgspec
from robyn import Headers, Request, Response, Robyn

from benchmarks.load import orders, work

METHODS: Counter[str] = Counter()
STATUSES: Counter[int] = Counter()
TEXT_HEAD = Headers({"content-type": work.TEXT_TYPE})
JSON_HEAD = Headers({"content-type": work.JSON_TYPE})


def answer(status: int, body: str | bytes, headers: Headers = TEXT_HEAD) -> Response:
    return Response(status_code=status, headers=headers, description=body)


async def hello(request: Request) -> Response:
    return answer(200, work.TEXT)


async def user(request: Request) -> Response:
    value = request.path_params["id"]
    return answer(200, work.user_text(int(value))) if value.isdecimal() else answer(404, "not a number")


async def order(request: Request) -> Response:
    try:
        placed = orders.decode_order(request.body)
    except msgspec.ValidationError as error:
        return answer(422, str(error))
    return answer(200, orders.encode_receipt(orders.accept(placed)), JSON_HEAD)


async def filler(request: Request) -> Response:
    return answer(200, "filler")


async def count_method(request: Request) -> Request:
    METHODS[request.method] += 1
    return request


async def count_status(response: Response) -> Response:
    STATUSES[response.status_code] += 1
    return response


def application() -> Robyn:
    settings = work.settings()
    app = Robyn(__file__)
    before, after = work.fillers(settings.routes)

    def fill(patterns: list[str]) -> None:
        for pattern in patterns:
            app.get(pattern.replace("{id:int}", ":id"))(filler)

    fill(before)
    app.get(work.HELLO)(hello)
    app.get("/users/:id")(user)
    app.post(work.ORDERS)(order)
    fill(after)
    app.before_request()(count_method)
    app.after_request()(count_status)
    return app


if __name__ == "__main__":
    sys.argv[1:] = ["--processes", "1", "--workers", "1", "--log-level", "ERROR", "--disable-openapi"]
    application().start(host=work.HOST, port=work.settings().port, keep_alive_timeout=work.KEEP_ALIVE_SECONDS)
