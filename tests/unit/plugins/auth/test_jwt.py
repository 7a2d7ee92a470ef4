"""Tokens: what is taken, and a corpus of what is not (G16)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from framework import App, Request
from framework.errors import SetupError
from framework.plugins.auth import (
    JWKS,
    BadToken,
    JWTAuth,
    JWTVerifier,
    StaticKeys,
    principal_of,
    require_scopes,
)
from framework.plugins.auth.jwks import keys_of_jwks
from framework.testing import TestClient, run_virtual

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000
SECRET = "a secret of at least thirty-two bytes"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = Ed25519PrivateKey.generate()


def pem(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def token(
    key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any
) -> str:
    return jwt.encode({"sub": "ada", "exp": NOW + 60, **claims}, key, algorithm, headers=headers)


def forged(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def verifier(**options: Any) -> JWTVerifier:
    options = {"keys": StaticKeys(secret=SECRET), "algorithms": ["HS256"], "clock": lambda: NOW, **options}
    return JWTVerifier(**options)


def refusal(checked: JWTVerifier, bad: str) -> str:
    with pytest.raises(BadToken) as caught:
        asyncio.run(checked.verify(bad))
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "public", "algorithm"),
    [(RSA, pem(RSA), "RS256"), (RSA, pem(RSA), "PS384"), (EC, pem(EC), "ES256"), (ED, pem(ED), "EdDSA")],
)
def test_public_keys_of_all_kinds(key: Any, public: bytes, algorithm: str) -> None:
    checked = verifier(keys=StaticKeys(public_key=public), algorithms=[algorithm])
    principal = asyncio.run(checked.verify(token(key, algorithm, scope="read write", roles=["admin"])))
    assert (principal.subject, principal.scheme) == ("ada", "jwt")
    assert (principal.scopes, principal.roles) == (frozenset({"read", "write"}), frozenset({"admin"}))


CLAIMS = {"sub": "ada", "exp": NOW + 60}
GOOD = token()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(forged({"alg": "none"}, CLAIMS), id="alg none"),
        pytest.param(forged({"alg": "None"}, CLAIMS), id="alg None"),
        pytest.param(forged({"alg": "HS512"}, CLAIMS), id="an algorithm that was not asked for"),
        pytest.param(forged({}, CLAIMS), id="no algorithm"),
        pytest.param(forged({"alg": ["HS256"]}, CLAIMS), id="a list of algorithms"),
        pytest.param(forged({"alg": "HS256"}, CLAIMS), id="no signature"),
        pytest.param(GOOD[:-2] + ("AA" if GOOD[-2:] != "AA" else "BB"), id="another signature"),
        pytest.param(GOOD + ".", id="four parts"),
        pytest.param(GOOD.rsplit(".", 1)[0], id="two parts"),
        pytest.param("", id="empty"),
        pytest.param("...", id="dots"),
        pytest.param("a" * 9000, id="long"),
        pytest.param(token("another secret of thirty-two bytes!!"), id="another secret"),
        pytest.param(token(exp=NOW - 11), id="expired"),
        pytest.param(token(nbf=NOW + 11), id="not yet"),
        pytest.param(token(iat=NOW + 11), id="made in the future"),
        pytest.param(jwt.encode({"sub": "ada"}, SECRET, "HS256"), id="for ever"),
        pytest.param(jwt.encode({"exp": NOW + 60}, SECRET, "HS256"), id="of nobody"),
        pytest.param(token(exp=True), id="exp true"),
        pytest.param(token(aud="somebody"), id="for somebody else"),
        pytest.param(token(headers={"crit": ["exp"]}), id="crit"),
    ],
)  # fmt: skip
def test_forged_tokens_g16(bad: str) -> None:
    assert refusal(verifier(), bad)


def test_algorithm_confusion_a_public_key_is_never_a_secret() -> None:
    """The classic: an HMAC made with the public key's text, for a server that takes both kinds."""
    public = pem(RSA)
    checked = verifier(keys=StaticKeys(public_key=public), algorithms=["RS256", "HS256"])
    header, claims = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, CLAIMS)
    )
    import hashlib
    import hmac

    signature = hmac.new(public, header + b"." + claims, hashlib.sha256).digest()
    bad = b".".join((header, claims, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()
    assert refusal(checked, bad) == "no key for this token"
    asyncio.run(checked.verify(token(RSA, "RS256")))


def test_keys_named_by_the_token_are_not_taken() -> None:
    own = jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True)
    for headers in (
        {"jwk": own},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/"},
        {"kid": "../../dev/null"},
    ):
        checked = verifier(keys=StaticKeys(public_key=pem(EC)), algorithms=["RS256", "ES256"])
        assert refusal(checked, token(RSA, "RS256", headers=headers)) == "no key for this token"


def test_issuer_and_audience() -> None:
    checked = verifier(issuer="https://id.example", audience=["api", "web"])
    good = token(iss="https://id.example", aud=["web", "x"])
    assert asyncio.run(checked.verify(good)).subject == "ada"
    assert refusal(checked, token(iss="https://evil.example", aud="api")) == "the token is from somebody else"
    assert refusal(checked, token(iss="https://id.example", aud="x")) == "the token is for somebody else"
    assert refusal(checked, token(iss="https://id.example")) == "the token has no claim 'aud'"


def test_a_good_token_is_remembered_until_it_expires_and_no_longer() -> None:
    now = [NOW]
    checked = verifier(clock=lambda: now[0], max_cached=2)
    asyncio.run(checked.verify(GOOD))
    now[0] = NOW + 69
    assert checked.known(GOOD) is not None
    now[0] = NOW + 70
    assert checked.known(GOOD) is None
    assert refusal(checked, GOOD) == "the token has expired"
    now[0] = NOW
    tokens = [token(jti=str(number)) for number in range(5)]
    for each in tokens:
        asyncio.run(checked.verify(each))
    assert [checked.known(each) is not None for each in tokens] == [False, False, False, True, True]
    checked.forget()
    assert checked.known(tokens[-1]) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: verifier(algorithms=[]),
        lambda: verifier(algorithms=["none"]),
        lambda: StaticKeys(),
        lambda: StaticKeys(secret="short"),
        lambda: StaticKeys(public_key=b"no pem"),
        lambda: StaticKeys(public_key=pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))),
        lambda: StaticKeys(jwks=b"{}"),
        lambda: StaticKeys(jwks=b"nothing"),
    ],
)
def test_what_could_not_be_verified_with_stops_the_start(make: Callable[[], object]) -> None:
    with pytest.raises(SetupError):
        make()


# -- JWK Sets ---------------------------------------------------------------------------------------------------------


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def test_broken_keys_do_not_spoil_a_set(caplog: pytest.LogCaptureFixture) -> None:
    listed = [
        {"kty": "RSA"},
        {"kty": "what"},
        jwk(RSA, "enc", use="enc"),
        jwk(RSA, "a", alg="RS256"),
        jwk(RSA, "b", alg="HS256"),
    ]
    keys = keys_of_jwks(json.dumps({"keys": listed}).encode())
    assert [(key.kid, sorted(key.algorithms)) for key in keys] == [("a", ["RS256"])]
    assert "cannot be used" in caplog.text


class Issuer:
    """Who makes the tokens; its keys change, and it may be away."""

    def __init__(self) -> None:
        self.kids = ["a"]
        self.asked: list[float] = []
        self.away = False

    async def fetch(self) -> bytes:
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.5)
        if self.away:
            raise ConnectionRefusedError
        return json.dumps({"keys": [jwk(RSA, kid) for kid in self.kids]}).encode()


def with_issuer(scenario: Callable[[Issuer, JWKS], Any]) -> Any:
    async def run() -> Any:
        issuer = Issuer()
        keys = JWKS(
            issuer.fetch,
            refresh_interval=300.0,
            min_interval=10.0,
            max_stale=3600.0,
            clock=asyncio.get_running_loop().time,
        )
        try:
            return await scenario(issuer, keys)
        finally:
            await keys.aclose()

    return run_virtual(run())


async def kids(keys: JWKS, kid: str | None) -> list[str | None]:
    return [key.kid for key in await keys.keys_for(kid)]


def test_many_at_once_fetch_once() -> None:
    async def scenario(issuer: Issuer, keys: JWKS) -> None:
        assert await asyncio.gather(*(kids(keys, "a") for _ in range(50))) == [["a"]] * 50
        assert len(issuer.asked) == 1

    with_issuer(scenario)


def test_an_unknown_kid_is_refetched_at_a_limited_rate() -> None:
    async def scenario(issuer: Issuer, keys: JWKS) -> None:
        assert await kids(keys, "a") == ["a"]
        await asyncio.sleep(20)
        issuer.kids = ["a", "b"]
        assert await kids(keys, "b") == ["b"], "rotated keys are there at once"
        for number in range(1000):
            assert await kids(keys, f"made up {number}") == []
            await asyncio.sleep(0.1)
        assert len(issuer.asked) <= 2 + 10

    with_issuer(scenario)


def test_known_keys_serve_while_the_issuer_is_away_but_not_for_ever() -> None:
    async def scenario(issuer: Issuer, keys: JWKS) -> None:
        await kids(keys, "a")
        issuer.away = True
        for _ in range(60):
            await asyncio.sleep(50)
            before = asyncio.get_running_loop().time()
            assert await kids(keys, "a") == ["a"]
            assert asyncio.get_running_loop().time() == before, (
                "nobody waits for a refresh while keys are known"
            )
        await asyncio.sleep(700)
        assert await kids(keys, "a") == []
        issuer.away = False
        await asyncio.sleep(11)
        assert await kids(keys, "a") == ["a"]

    with_issuer(scenario)


def test_who_waits_for_a_fetch_may_leave_and_the_others_get_it() -> None:
    async def scenario(issuer: Issuer, keys: JWKS) -> None:
        leaver = asyncio.create_task(kids(keys, "a"))
        stayer = asyncio.create_task(kids(keys, "a"))
        await asyncio.sleep(0.1)
        leaver.cancel()
        assert await stayer == ["a"]
        assert len(issuer.asked) == 1

    with_issuer(scenario)


# -- over HTTP --------------------------------------------------------------------------------------------------------


def app_with(auth: JWTAuth) -> App:
    app = App()
    app.use(auth)

    @app.get("/me")
    async def me(request: Request) -> str:
        return principal_of(request).subject

    @app.get("/write", middleware=[require_scopes("write")])
    async def write() -> str:
        raise AssertionError("after a refusal nothing more runs")

    return app


async def test_challenges() -> None:
    auth = JWTAuth(verifier(), realm='the "api"')
    async with TestClient(app_with(auth)) as client:
        nobody = await client.get("/me")
        assert (nobody.status, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="the \\"api\\""')
        good = await client.get("/me", headers={"authorization": f"bearer {GOOD}"})
        assert (good.status, good.text) == (200, "ada")
        bad = await client.get("/me", headers={"authorization": f"Bearer {token(exp=5)}"})
        assert bad.status == 401
        assert (
            'error="invalid_token", error_description="the token has expired"'
            in bad.headers["www-authenticate"]
        )
        other = await client.get("/me", headers={"authorization": "Basic abc"})
        assert 'error="invalid_request"' in other.headers["www-authenticate"]
        less = await client.get("/write", headers={"authorization": f"Bearer {GOOD}"})
        assert less.status == 403
        assert less.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="write"'
        twice = await client.get(
            "/me", headers=[("authorization", f"Bearer {GOOD}"), ("authorization", "Bearer x")]
        )
        assert twice.status == 401


async def test_optional_and_by_cookie() -> None:
    app = App()
    app.use(JWTAuth(verifier(), optional=True, cookie="token"))

    @app.get("/")
    async def who(request: Request) -> str:
        from framework.plugins.auth import PRINCIPAL

        principal = request.get(PRINCIPAL)
        return "nobody" if principal is None else principal.subject

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "nobody"
        assert (await client.get("/", headers={"cookie": f"token={GOOD}"})).text == "ada"
        assert (await client.get("/", headers={"cookie": "token=bad"})).status == 401
