"""An app whose routes do what can be done to a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import msgspec

from framework import App, HTTPError, Response
from framework.errors import LocalProtocolError
from framework.middleware.sessions import (
    MemorySessionStore,
    Session,
    Sessions,
    SignedSessions,
    StoredSessions,
    session,
)

KEY = "k" * 32
NAME = "__Host-session"


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Cart(msgspec.Struct):
    items: list[str]
    since: date


def app_with(sessions: Sessions) -> App:
    app = App()
    app.use(sessions)
    app.provide(session)
    shared = Response("shared")

    @app.get("/set/{key}/{value:int}")
    async def set_value(key: str, value: int, session: Session) -> Response:
        session[key] = value
        return Response("set")

    @app.get("/show")
    async def show(session: Session) -> dict[str, Any]:
        return dict(session)

    @app.get("/drop/{key}")
    async def drop(key: str, session: Session) -> None:
        del session[key]

    @app.get("/append")
    async def append(session: Session) -> None:
        session.setdefault("list", []).append(len(session["list"]))

    @app.get("/cart")
    async def cart(session: Session) -> Cart | None:
        return session.get_as("cart", Cart)

    @app.get("/fill")
    async def fill(session: Session) -> None:
        session["cart"] = Cart(["tea"], date(2026, 1, 2))

    @app.get("/login/{user}")
    async def login(user: str, session: Session) -> None:
        session.renew()
        session["user"] = user

    @app.get("/logout")
    async def logout(session: Session) -> None:
        session.end()

    @app.get("/relogin/{user}")
    async def relogin(user: str, session: Session) -> None:
        session.end()
        session["user"] = user

    @app.get("/clear")
    async def clear(session: Session) -> None:
        session.clear()

    @app.get("/fail/{status:int}")
    async def fail(status: int, session: Session) -> None:
        session["x"] = status
        raise HTTPError(status)

    @app.get("/unused")
    async def unused() -> Response:
        return Response("unused")

    @app.get("/shared")
    async def from_shared(session: Session) -> Response:
        session["n"] = session.get("n", 0) + 1
        return shared

    @app.get("/cached/{control}")
    async def cached(control: str, session: Session) -> Response:
        session["x"] = 1
        return Response("x", headers={"cache-control": control})

    @app.get("/big/{size:int}")
    async def big(size: int, session: Session) -> None:
        session["big"] = "x" * size

    @app.get("/odd")
    async def odd(session: Session) -> None:
        session["odd"] = object()

    @app.get("/late")
    async def late(session: Session) -> AsyncIterator[str]:
        yield str(session.get("x"))
        try:
            session["x"] = 9
        except LocalProtocolError as error:
            yield f" {error}"

    return app


def signed(clock: Clock | None = None, **options: Any) -> SignedSessions:
    return SignedSessions([KEY], clock=clock or Clock(), **options)


def stored(clock: Clock | None = None, **options: Any) -> StoredSessions:
    clock = clock or Clock()
    return StoredSessions(MemorySessionStore(clock=clock), clock=clock, **options)
