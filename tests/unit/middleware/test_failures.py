"""The one map from error to response: what each error becomes, and what never leaves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from framework import App, HTTPError, Request, Response, Scope, ValidationError
from framework.errors import (
    CodecError,
    DeadlineExceeded,
    FieldError,
    LocalProtocolError,
    PeerClosed,
    RemoteProtocolError,
    ResourceError,
    SetupError,
    TransportError,
)
from framework.middleware import ErrorMap
from framework.middleware.failures import check_renderer
from framework.testing import TestClient, fake_request

pytestmark = pytest.mark.anyio

SECRET = "password=hunter2"


class Taken(Exception): ...


class SpecialTaken(Taken): ...


class Session: ...


class Unprintable(Exception):
    def __str__(self) -> str:
        raise LookupError("no text")


def rendered(error: BaseException, *, errors: ErrorMap | None = None, accept: str = "*/*") -> Response:
    return (errors or ErrorMap()).render(fake_request("GET", "/x", {"accept": accept}), error)


def document(response: Response) -> dict[str, Any]:
    assert response.media_type == "application/problem+json"
    found: dict[str, Any] = json.loads(response.body)
    assert found["status"] == response.status
    return found


def answer(text: str, status: int = 409) -> Callable[[Request, Any], Response]:
    return lambda request, error: Response(text, status)


class TestDefaults:
    @pytest.mark.parametrize(
        ("error", "status", "detail"),
        [
            (HTTPError(404, "no tea"), 404, "no tea"),
            (HTTPError(503), 503, None),
            (RemoteProtocolError("bad chunk", 400), 400, "bad chunk"),
            (RemoteProtocolError("too slow", 408), 408, "too slow"),
            (CodecError(SECRET, 3), 500, None),
            (DeadlineExceeded(SECRET, 1.0), 504, "the request took too long"),
            (ResourceError(SECRET), 503, "the server is too busy for this request"),
            (LocalProtocolError(SECRET), 500, None),
            (TransportError(SECRET), 500, None),
            (LookupError(SECRET), 500, None),
            (SetupError(SECRET), 500, None),
            (asyncio.CancelledError(SECRET), 500, None),
            (Unprintable(), 500, None),
            (ExceptionGroup(SECRET, [LookupError(SECRET), ValueError(SECRET)]), 500, None),
        ],
    )
    def test_status_and_detail(self, error: BaseException, status: int, detail: str | None) -> None:
        response = rendered(error)
        found = document(response)
        assert (response.status, found.get("detail")) == (status, detail)
        assert SECRET.encode() not in response.body
        if status >= 500:
            assert len(found["request_id"]) == 32

    def test_a_peer_that_left_is_answered_by_nothing(self) -> None:
        response = rendered(PeerClosed("gone"))
        assert (response.status, response.body) == (499, b"")

    @pytest.mark.parametrize(
        ("retry_after", "field"), [(None, "1"), (0.0, "1"), (2.2, "3"), (-5.0, "1"), (float("inf"), "1")]
    )
    def test_when_to_come_again(self, retry_after: float | None, field: str) -> None:
        assert rendered(ResourceError("pool", retry_after)).headers["retry-after"] == field

    def test_validation_errors_keep_their_list(self) -> None:
        found = document(rendered(ValidationError([FieldError("query", "/q", "wrong")])))
        assert (found["status"], found["detail"]) == (422, "1 error in the request")
        assert found["errors"] == [{"in": "query", "pointer": "/q", "detail": "wrong"}]


class TestHTTPErrors:
    def test_headers_type_and_extensions(self) -> None:
        error = HTTPError(
            401, "who?", headers={"www-authenticate": "Bearer"}, type="urn:who", extensions={"hint": 1}
        )
        response = rendered(error)
        assert response.headers["www-authenticate"] == "Bearer"
        assert document(response) == {
            "type": "urn:who",
            "title": "Unauthorized",
            "status": 401,
            "detail": "who?",
            "hint": 1,
        }

    def test_extensions_do_not_overrule_what_the_error_says_itself(self) -> None:
        wrong = {"status": 200, "detail": "fine", "type": "urn:wrong", "request_id": "mine"}
        error = HTTPError(500, "broken", type="urn:right", extensions=wrong)
        found = document(rendered(error))
        assert (found["status"], found["detail"], found["type"]) == (500, "broken", "urn:right")
        assert found["request_id"] == "mine"

    def test_title_and_instance_are_said_as_extensions(self) -> None:
        error = HTTPError(409, type="urn:taken", extensions={"title": "Taken", "instance": "/orders/1"})
        found = document(rendered(error))
        assert (found["title"], found["instance"]) == ("Taken", "/orders/1")

    def test_an_extension_without_a_json_form_is_a_500(self, caplog: pytest.LogCaptureFixture) -> None:
        assert rendered(HTTPError(400, extensions={"x": object()})).status == 500
        assert "not encodable" in caplog.text

    @pytest.mark.parametrize("status", [99, 100, 600, 999])
    async def test_a_status_that_is_none_is_a_500(self, status: int) -> None:
        app = App()

        @app.get("/")
        async def fail() -> None:
            raise HTTPError(status)

        async with TestClient(app) as client:
            assert (await client.get("/")).status == 500


class TestOwnRenderers:
    def test_the_nearest_class_answers(self) -> None:
        errors = ErrorMap()
        errors.add(Exception, answer("exception", 418))
        errors.add(Taken, answer("taken"))
        assert rendered(SpecialTaken(), errors=errors).body == b"taken"
        assert rendered(LookupError(), errors=errors).body == b"exception"
        assert rendered(HTTPError(400), errors=errors).status == 400
        errors.add(HTTPError, answer("http", 400))
        assert rendered(ValidationError([]), errors=errors).body == b"http"

    def test_the_order_of_python_decides_between_two_bases(self) -> None:
        class Both(Taken, LookupError): ...

        errors = ErrorMap()
        errors.add(LookupError, answer("lookup"))
        errors.add(Taken, answer("taken"))
        assert rendered(Both(), errors=errors).body == b"taken"

    def test_a_joined_map_is_of_its_own_and_stronger_renderers_stand(self) -> None:
        own = ErrorMap()
        own.add(Taken, answer("own"))
        joined = own.joined({Taken: answer("weaker"), LookupError: answer("lookup")}, debug=True)
        own.add(Taken, answer("later"))
        assert rendered(Taken(), errors=joined).body == b"own"
        assert rendered(LookupError(), errors=joined).body == b"lookup"
        assert rendered(HTTPError(404), errors=joined).status == 404
        assert (joined.debug, own.debug) == (True, False)

    def test_a_renderer_may_say_it_as_an_http_error(self) -> None:
        def render(request: Request, error: Taken) -> Response:
            raise HTTPError(409, "it is taken")

        errors = ErrorMap()
        errors.add(Taken, render)
        assert document(rendered(Taken(), errors=errors))["detail"] == "it is taken"

    def test_renderers_that_raise_each_other_come_to_an_end(self) -> None:
        def render(request: Request, error: Exception) -> Response:
            raise HTTPError(409)

        errors = ErrorMap()
        errors.add(Taken, render)
        errors.add(HTTPError, render)
        assert rendered(Taken(), errors=errors).status == 500

    def test_a_renderer_that_fails_is_a_500_and_both_errors_are_in_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def render(request: Request, error: Taken) -> Response:
            raise LookupError("the renderer's fault")

        errors = ErrorMap()
        errors.add(Taken, render)
        response = rendered(Taken("the first fault"), errors=errors)
        assert response.status == 500
        assert b"fault" not in response.body
        assert "the renderer's fault" in caplog.text
        assert "the first fault" in caplog.text

    def test_a_renderer_that_raises_the_error_again(self, caplog: pytest.LogCaptureFixture) -> None:
        def render(request: Request, error: Taken) -> Response:
            raise error

        errors = ErrorMap()
        errors.add(Taken, render)
        error = Taken("once")
        assert rendered(error, errors=errors).status == 500
        assert error.__context__ is None
        assert caplog.text.count("Taken: once") == 1

    @pytest.mark.parametrize("result", [None, "text", {"a": 1}])
    def test_a_renderer_that_returns_no_response_is_a_500(self, result: Any) -> None:
        errors = ErrorMap()
        errors.add(Taken, lambda request, error: result)
        assert rendered(Taken(), errors=errors).status == 500

    def test_what_could_never_answer_is_refused_at_once(self) -> None:
        async def waits(request: Request, error: Exception) -> Response:
            return Response()

        for kind, render, text in (
            (Taken(), answer("x"), "errors are answered by their class"),
            (int, answer("x"), "errors are answered by their class"),
            (Taken, waits, "a renderer awaits nothing"),
            (Taken, "text", "cannot be called"),
        ):
            with pytest.raises(SetupError, match=text):
                check_renderer(kind, render)
        with pytest.raises(SetupError, match="a renderer awaits nothing"):
            App().on_error(Taken, waits)  # type: ignore[arg-type]


class TestGroups:
    def test_a_group_of_one_is_answered_as_that_one(self) -> None:
        errors = ErrorMap()
        errors.add(Taken, answer("taken"))
        nested = ExceptionGroup("outer", [ExceptionGroup("inner", [Taken()])])
        assert rendered(nested, errors=errors).body == b"taken"
        assert rendered(ExceptionGroup("group", [HTTPError(404)])).status == 404

    def test_a_group_of_several_is_a_500(self) -> None:
        assert rendered(ExceptionGroup("group", [HTTPError(404), HTTPError(404)])).status == 500

    def test_a_group_of_something_unexpected_is_logged_whole(self, caplog: pytest.LogCaptureFixture) -> None:
        assert rendered(ExceptionGroup("the whole", [LookupError("part")])).status == 500
        assert "the whole" in caplog.text

    def test_a_renderer_of_groups_sees_the_group(self) -> None:
        errors = ErrorMap()
        errors.add(ExceptionGroup, answer("group"))
        assert rendered(ExceptionGroup("group", [HTTPError(404)]), errors=errors).body == b"group"

    async def test_the_error_of_a_task_group_in_a_handler(self) -> None:
        app = App()

        async def fails() -> None:
            raise HTTPError(409, "inside")

        @app.get("/")
        async def handler() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())

        async with TestClient(app) as client:
            assert (await client.get("/")).status == 409

    async def test_a_clean_up_that_fails_with_a_known_error(self) -> None:
        async def session() -> AsyncGenerator[Session]:
            yield Session()
            raise Taken("the commit found it taken")

        app = App()
        app.provide(session, scope=Scope.REQUEST)
        app.on_error(Taken, answer("taken"))

        @app.get("/")
        async def handler(session: Session) -> str:
            return "fine"

        async with TestClient(app) as client:
            assert (await client.get("/")).status == 409


class TestLog:
    def test_the_unexpected_with_traceback_route_and_request_id(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        found = document(rendered(LookupError(SECRET)))
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("framework.error", logging.ERROR)
        assert record.getMessage() == f"failed: GET /x (request {found['request_id']})"
        assert SECRET in caplog.text

    def test_answers_of_5xx_are_a_warning_and_others_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        rendered(HTTPError(404))
        rendered(HTTPError(503, "later"))
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith("503 for GET /x: 503: later (request ")


class TestDebug:
    @pytest.mark.parametrize(
        ("accept", "media_type"),
        [("text/html,*/*", "text/html; charset=utf-8"), ("*/*", "application/problem+json")],
    )
    def test_browsers_get_a_page(self, accept: str, media_type: str) -> None:
        response = rendered(LookupError("x"), errors=ErrorMap(debug=True), accept=accept)
        assert (response.status, response.media_type) == (500, media_type)

    def test_the_page_runs_nothing_and_is_kept_nowhere(self) -> None:
        headers = rendered(LookupError("x"), errors=ErrorMap(debug=True), accept="text/html").headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"

    def test_expected_errors_have_no_page(self) -> None:
        response = rendered(HTTPError(500, "known"), errors=ErrorMap(debug=True), accept="text/html")
        assert response.media_type == "application/problem+json"

    def test_a_page_that_fails_is_a_plain_500(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(*args: Any) -> str:
            raise LookupError("page")

        monkeypatch.setattr("framework.middleware.debug_page.debug_page", fails)
        response = rendered(LookupError("x"), errors=ErrorMap(debug=True), accept="text/html")
        assert (response.status, response.media_type) == (500, "application/problem+json")
        assert "the debug page failed" in caplog.text
