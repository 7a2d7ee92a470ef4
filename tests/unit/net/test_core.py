from __future__ import annotations

import pytest

from framework.http.request import Request
from framework.http.response import Response
from framework.net.core import not_a_response
from tests.support.harness import App, harness, request_bytes


async def hello(request: Request) -> Response:
    return Response("hello")


class Guest:
    """A connection that does nothing."""

    def shut_down(self) -> None: ...

    def cancel(self) -> None: ...

    def abort(self) -> None: ...


def test_room_is_counted_without_those_that_found_none() -> None:
    with harness(hello, max_connections=2) as server:
        core = server.core
        guests = [Guest() for _ in range(4)]
        assert [core.enter(guest) for guest in guests] == [True, True, False, False]
        assert len(core.turned_away) == 2
        core.leave(guests[0])
        core.leave(guests[2])
        assert core.enter(guests[0])
        for guest in guests:
            core.leave(guest)
        assert not core.connections
        assert not core.turned_away


def test_who_waits_for_the_last_connection_is_woken() -> None:
    with harness(hello) as server:
        core = server.core
        guests = [Guest(), Guest()]
        for guest in guests:
            core.enter(guest)
        core.on_empty = server.loop.create_future()
        core.leave(guests[0])
        assert not core.on_empty.done()
        core.leave(guests[1])
        core.leave(guests[1])
        assert core.on_empty.done()


def test_an_app_that_cannot_answer_an_error_is_stood_in_for(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(App):
        def failed(self, request: Request, error: BaseException) -> Response:
            raise RuntimeError("the map itself")

    async def fails(request: Request) -> Response:
        raise ValueError("the handler")

    with harness(Broken(fails)) as server:
        client = server.connect()
        client.send(request_bytes())
        assert client.reply().status == 500
    assert "the map itself" in caplog.text
    assert "the handler" in caplog.text


def test_the_time_a_connection_may_be_idle_is_worked_out_once_a_tick() -> None:
    with harness(hello, keep_alive_timeout=75.0) as server:
        server.connect()
        server.advance(10)
        assert server.core.idle_by == pytest.approx(server.loop.time() + 75, abs=0.25)


def test_not_a_response_names_what_it_was() -> None:
    assert str(not_a_response({})) == "the handler returned dict, not a Response"
