"""API keys, passwords, the word of another service, and rules."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework import App, Phase, Request
from framework.errors import PeerClosed, SetupError
from framework.plugins.auth import (
    FORWARDED_FIELDS,
    Answer,
    APIKey,
    APIKeys,
    BasicAuth,
    BasicUser,
    ForwardAuth,
    IPRules,
    Principal,
    Require,
    hash_of_key,
    hash_of_password,
    new_key,
    principal_of,
    require_roles,
)
from framework.testing import TestClient

pytestmark = pytest.mark.anyio

KEY = new_key("robot")
OLD = new_key()
KEYS = [
    APIKey(name="robot", hash=hash_of_key(KEY), roles=frozenset({"writer"})),
    APIKey(name="old", hash=hash_of_key(OLD), disabled=True),
]
ADA = BasicUser(name="ada", hash=hash_of_password("pa:ss wörd"), roles=frozenset({"admin"}))


def app_with(middleware: object, *more: object) -> App:
    app = App()
    for each in (middleware, *more):
        app.use(each)  # type: ignore[arg-type]

    @app.get("/")
    async def who(request: Request) -> str:
        return principal_of(request).subject

    return app


async def test_api_keys_by_field_and_by_authorization() -> None:
    async with TestClient(app_with(APIKeys(KEYS, query="key"))) as client:
        assert (await client.get("/", headers={"x-api-key": KEY})).text == "robot"
        assert (await client.get("/", headers={"authorization": f"apikey {KEY}"})).text == "robot"
        assert (await client.get(f"/?key={KEY}")).text == "robot"
        assert (await client.get("/", headers={"x-api-key": OLD})).status == 403
        for bad in ({}, {"x-api-key": "wrong"}, {"x-api-key": "x" * 1000}, {"x-api-key": hash_of_key(KEY)}):
            answer = await client.get("/", headers=bad)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "ApiKey")


async def test_a_query_is_not_read_unless_asked_for() -> None:
    async with TestClient(app_with(APIKeys(KEYS))) as client:
        assert (await client.get(f"/?key={KEY}")).status == 401


@pytest.mark.parametrize(
    "keys", [[], [APIKey(name="a", hash="abc")], [KEYS[0], APIKey(name="twin", hash=KEYS[0].hash)]]
)
def test_api_keys_that_make_no_sense(keys: list[APIKey]) -> None:
    with pytest.raises(SetupError, match="API keys: "):
        APIKeys(keys)


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


async def test_basic_authentication_and_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = BasicAuth([ADA], realm="staff")
    verified: list[bytes] = []
    matches = auth._matches

    def counted(hashed: str, word: bytes) -> bool:
        verified.append(word)
        return matches(hashed, word)

    monkeypatch.setattr(auth, "_matches", counted)
    async with TestClient(app_with(auth)) as client:
        for _ in range(3):
            assert (await client.get("/", headers=basic("ada", "pa:ss wörd"))).text == "ada"
        assert len(verified) == 1, "a slow hash is computed once"
        for name, password in (("ada", "wrong"), ("eve", "pa:ss wörd"), ("", ""), ("ada", "")):
            answer = await client.get("/", headers=basic(name, password))
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="staff", charset="UTF-8"'
        assert len(verified) == 5, "unknown names take as long as wrong passwords"
        for field in ("Basic", "Basic !!!", "Basic YQ", "Basic " + "A" * 900, "Bearer abc", "Basic /w=="):
            assert (await client.get("/", headers={"authorization": field})).status == 401


@pytest.mark.parametrize("users", [[], [ADA, ADA], [BasicUser(name="eve", hash="plain text")]])
def test_users_that_make_no_sense(users: list[BasicUser]) -> None:
    with pytest.raises(SetupError, match="basic authentication: "):
        BasicAuth(users)


class Decider:
    """Another service, and what it was shown."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.shown: list[dict[str, str]] = []

    async def __call__(self, fields: Sequence[tuple[str, str]]) -> Answer:
        self.shown.append(dict(fields))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_forward_auth_shows_the_request_and_copies_the_answer() -> None:
    decider = Decider(Answer(200, [("x-user", "ada"), ("x-groups", "admin"), ("x-other", "no")]))
    app = App()
    app.use(ForwardAuth(decider, copy=["X-User", "X-Groups"], subject="X-User"))

    @app.post("/a/b")
    async def fields(request: Request) -> list[tuple[str, str]]:
        assert principal_of(request).subject == "ada"
        copied = request[FORWARDED_FIELDS]
        return list(copied)

    async with TestClient(app) as client:
        answer = await client.post("/a/b?c=d", headers={"cookie": "session=1", "x-secret": "no"})
        assert answer.json() == [["x-user", "ada"], ["x-groups", "admin"]]
    (shown,) = decider.shown
    assert shown.pop("x-forwarded-for", "127.0.0.1")
    assert shown == {
        "x-forwarded-method": "POST",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "testserver",
        "x-forwarded-uri": "/a/b?c=d",
        "cookie": "session=1",
    }


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(401, [("www-authenticate", "Bearer"), ("x-user", "eve")], b"who?"), 401),
        (Answer(302, [("location", "https://id.example/login")]), 302),
        (Answer(500, []), 502),
        (Answer(101, []), 502),
        (Answer(204, []), 502),
        (PeerClosed("gone"), 503),
    ],
)
async def test_forward_auth_denials_and_faults(answer: Answer | Exception, status: int) -> None:
    async with TestClient(
        app_with(ForwardAuth(Decider(answer), copy=["x-user"], subject="x-user"))
    ) as client:
        got = await client.get("/")
        assert got.status == status
        if isinstance(answer, Answer) and status < 500:
            assert got.body == answer.body
            assert "x-user" not in got.headers
            for name, value in answer.fields:
                assert name == "x-user" or got.headers[name] == value


@pytest.mark.parametrize("name", ["X-User", "x_user", "X.USER", "x-User"])
def test_copied_fields_g3_g4_are_the_services_alone_in_any_spelling(name: str) -> None:
    auth = ForwardAuth(Decider(Answer(200, [])), copy=["X-User", "Remote_Groups"])
    assert auth.is_copied(name)
    assert auth.is_copied("remote.groups")
    assert not auth.is_copied("x-username")


async def test_roles() -> None:
    app = App()
    app.use(BasicAuth([ADA]))

    @app.get("/admin", middleware=[require_roles("admin", "root")])
    async def admin() -> str:
        return "in"

    @app.get("/root", middleware=[Require(lambda principal: principal.subject == "root", "only root")])
    async def root() -> str:
        raise AssertionError

    @app.get("/open", middleware=[require_roles("admin")], skip=[])
    async def also() -> str:
        return "in"

    async with TestClient(app) as client:
        assert (await client.get("/admin", headers=basic("ada", "pa:ss wörd"))).text == "in"
        assert (await client.get("/root", headers=basic("ada", "pa:ss wörd"))).status == 403
        assert (await client.get("/open")).status == 401


def test_a_rule_that_requires_nothing_is_refused() -> None:
    with pytest.raises(SetupError, match="lets everybody through"):
        require_roles()


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("10.1.2.3", True),
        ("10.9.0.1", False),
        ("10.9.0.7", True),
        ("::ffff:10.1.2.3", True),
        ("::ffff:10.9.0.1", False),
        ("8.8.8.8", False),
        ("fe80::1%eth0", True),
        ("nonsense", False),
    ],
)
def test_the_most_specific_network_decides(host: str, allowed: bool) -> None:
    rules = IPRules(allow=["10.0.0.0/8", "10.9.0.7", "fe80::/10"], deny=["10.9.0.0/16"])
    assert rules.allows(host) is allowed


def test_without_anything_allowed_all_others_are() -> None:
    rules = IPRules(deny=["192.0.2.0/24", "2001:db8::/32"])
    assert rules.allows("8.8.8.8")
    assert not rules.allows("192.0.2.55")
    assert not rules.allows("::ffff:192.0.2.55")
    assert not rules.allows("2001:db8::1")


@given(st.ip_addresses(), st.ip_addresses())
def test_equal_rules_deny(one: object, other: object) -> None:
    rules = IPRules(allow=[str(one)], deny=[str(one)])
    assert not rules.allows(str(one))
    assert rules.allows(str(other)) is False


@pytest.mark.parametrize("make", [lambda: IPRules(), lambda: IPRules(allow=["10.0.0.1/8", "x"])])
def test_address_rules_that_make_no_sense(make: Callable[[], IPRules]) -> None:
    with pytest.raises(SetupError, match="address rules"):
        make()


async def test_ip_spoofing_through_x_forwarded_for() -> None:
    app = App()
    app.use(IPRules(deny=["127.0.0.0/8"]), Phase.EDGE)

    @app.get("/")
    async def read() -> str:
        raise AssertionError("after a refusal nothing more runs")

    async with TestClient(app, transport="socket") as client:
        assert (await client.get("/", headers={"x-forwarded-for": "8.8.8.8"})).status == 403


def test_principals_are_values() -> None:
    assert Principal("a", "jwt") == Principal("a", "jwt")
