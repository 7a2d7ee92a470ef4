"""Who may call what: said by layers, by injected types, by options."""

from __future__ import annotations

from typing import Any

import pytest

from framework import App, Handler, Request
from framework.errors import SetupError

from .describing import describe, operation

BEARER = {"type": "http", "scheme": "bearer"}
KEY = {"type": "apiKey", "in": "header", "name": "x-key"}


class Guard:
    """A layer that asks for a token or a key."""

    openapi_security = {"bearer": BEARER, "key": KEY}
    openapi_responses = {401: "No valid token", 403: "Not yours"}

    def __call__(self, handler: Handler) -> Handler:
        return handler


class CurrentUser:
    """Whom a request is from."""

    openapi_security = {"session": {"type": "apiKey", "in": "cookie", "name": "sid"}}
    openapi_responses = {401: "Log in first"}


def current_user(request: Request) -> CurrentUser:
    return CurrentUser()


async def handler() -> None: ...


async def mine(user: CurrentUser) -> None: ...


def test_a_layer_guards_the_routes_it_is_around() -> None:
    app = App()
    app.get("/open")(handler)
    guard = Guard()
    inside = app.group("/in", middleware=[guard])
    inside.get("/a")(handler)
    inside.get("/b", skip=[guard])(handler)
    document = describe(app)
    guarded = document["paths"]["/in/a"]["get"]
    assert guarded["security"] == [{"bearer": []}, {"key": []}]
    assert guarded["responses"]["401"]["description"] == "No valid token"
    assert list(guarded["responses"]) == ["204", "401", "403"]
    for path in ("/open", "/in/b"):
        assert "security" not in document["paths"][path]["get"]
    assert document["components"]["securitySchemes"] == {"bearer": BEARER, "key": KEY}


def test_an_injected_type_guards_what_it_is_injected_into() -> None:
    app = App()
    app.provide(current_user)
    app.get("/")(mine)
    found = operation(app)
    assert found["security"] == [{"session": []}]
    assert found["responses"]["401"]["description"] == "Log in first"


def test_several_guards_must_all_be_satisfied() -> None:
    app = App()
    app.provide(current_user)
    app.use(Guard())
    app.get("/")(mine)
    assert operation(app)["security"] == [{"bearer": [], "session": []}, {"key": [], "session": []}]


def test_an_option_speaks_louder() -> None:
    app = App()
    app.use(Guard())
    app.get("/none", security=[])(handler)
    app.get("/scopes", security=[{"oauth": ["read"]}, "bearer"])(handler)
    flows: dict[str, Any] = {"clientCredentials": {"tokenUrl": "/token", "scopes": {"read": "reads"}}}
    schemes = {"oauth": {"type": "oauth2", "flows": flows}}
    document = describe(app, security_schemes=schemes, security=["oauth"])
    assert document["security"] == [{"oauth": []}]
    assert document["paths"]["/none"]["get"]["security"] == []
    assert document["paths"]["/scopes"]["get"]["security"] == [{"oauth": ["read"]}, {"bearer": []}]


def test_a_scheme_that_nothing_declares_is_a_setup_error() -> None:
    app = App()
    app.get("/a", security=["bearer"])(handler)
    with pytest.raises(SetupError, match="GET /a: security names 'bearer', which no scheme is called"):
        describe(app)


def test_a_scheme_that_is_declared_twice_differently_is_a_setup_error() -> None:
    app = App()
    app.use(Guard())
    app.get("/a")(handler)
    with pytest.raises(SetupError, match="security scheme 'bearer' is declared twice, differently"):
        describe(app, security_schemes={"bearer": {"type": "http", "scheme": "basic"}})
