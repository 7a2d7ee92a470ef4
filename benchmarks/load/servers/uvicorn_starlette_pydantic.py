"""uvicorn + Starlette with pydantic for the order, as it is commonly used; its other routes are the same."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from benchmarks.load import work
from benchmarks.load.servers import asgi, uvicorn_fastapi
from benchmarks.load.servers.uvicorn_starlette import application


async def order(request: Request) -> Response:
    try:
        placed = uvicorn_fastapi.Order.model_validate_json(await request.body())
    except ValidationError as error:
        return PlainTextResponse(str(error), 422)
    receipt = await uvicorn_fastapi.order(placed)
    return Response(receipt.model_dump_json(), media_type=work.JSON_TYPE)


if __name__ == "__main__":
    asgi.serve(application(order))
