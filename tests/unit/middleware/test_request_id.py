"""Request ids: made, sent back, and taken from the client only where it may name one."""

from __future__ import annotations

import pytest

from framework import App, HTTPError, Phase, Request
from framework.middleware import RequestId
from framework.testing import TestClient

pytestmark = pytest.mark.anyio


def app_with(ids: RequestId) -> App:
    app = App()
    app.use(ids, Phase.EDGE)

    @app.get("/")
    async def home(request: Request) -> str:
        return request.id

    @app.get("/fail")
    async def fail() -> None:
        raise HTTPError(500)

    return app


async def test_every_response_has_the_requests_id() -> None:
    async with TestClient(app_with(RequestId())) as client:
        answers = [await client.get(path) for path in ("/", "/", "/nowhere", "/%00")]
        ids = [answer.headers["x-request-id"] for answer in answers]
        assert len(set(ids)) == 4
        assert all(len(one) == 32 for one in ids)
        assert answers[0].text == ids[0]
        answer = await client.get("/fail")
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_strangers_id_is_not_taken() -> None:
    async with TestClient(app_with(RequestId())) as client:
        answer = await client.get("/", headers={"x-request-id": "mine"})
        assert answer.text != "mine"
        assert [name for name, _ in answer.headers.items()].count("x-request-id") == 1


@pytest.mark.parametrize("sent", ["a", "trace:00-ab/12=+_.-", "x" * 128])
async def test_a_trusted_id_goes_on(sent: str) -> None:
    async with TestClient(app_with(RequestId("X-Trace", trust_client=True))) as client:
        answer = await client.get("/", headers={"x-trace": sent})
        assert (answer.text, answer.headers["x-trace"]) == (sent, sent)


@pytest.mark.parametrize("sent", ["", " ", "a b", "x" * 129, "é", "a;b", 'a"b'])
async def test_a_trusted_id_that_could_do_harm_is_replaced(sent: str) -> None:
    async with TestClient(app_with(RequestId(trust_client=True))) as client:
        answer = await client.get("/", headers={"x-request-id": sent})
        assert answer.text != sent
        assert len(answer.text) == 32
