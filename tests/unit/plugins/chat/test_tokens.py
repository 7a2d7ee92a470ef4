"""Signed tokens that expire, and keys that change."""

from __future__ import annotations

import jwt
import pytest

from framework.errors import SetupError
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.tokens import Identity, Tokens, guest_id

ONE, TWO = "the first secret of the tests, long", "the second secret of the tests, long"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def refused(tokens: Tokens, token: str) -> str:
    with pytest.raises(ChatError) as caught:
        tokens.verify(token)
    assert caught.value.code == "token"
    return str(caught.value)


def test_a_token_says_who_and_until_when() -> None:
    tokens = Tokens([ONE], lifetime=60, clock=Clock())
    assert tokens.verify(tokens.issue("ada", "Ada L.")) == Identity("ada", "Ada L.", 1_000_060.0)
    assert tokens.verify(tokens.issue("ada")).name == "ada"


def test_it_expires() -> None:
    clock = Clock()
    tokens = Tokens([ONE], lifetime=60, clock=clock)
    token = tokens.issue("ada")
    clock.now += 64
    assert tokens.verify(token)
    clock.now += 1
    assert "expired" in refused(tokens, token)


def test_keys_are_rotated() -> None:
    old, both, new = Tokens([ONE]), Tokens([TWO, ONE]), Tokens([TWO])
    assert both.verify(old.issue("ada")).user == "ada"
    assert new.verify(both.issue("ada")).user == "ada"
    assert "not in use" in refused(new, old.issue("ada"))


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        ({"sub": "ada", "exp": 2e9, "aud": "chat"}, TWO, "HS256"),
        ({"sub": "ada", "exp": 2e9, "aud": "chat"}, ONE, "HS512"),
        ({"sub": "ada", "exp": 2e9, "aud": "chat"}, "", "none"),
        ({"sub": "ada", "exp": 2e9, "aud": "mail"}, ONE, "HS256"),
        ({"sub": "ada", "exp": 2e9}, ONE, "HS256"),
        ({"sub": "ada", "aud": "chat"}, ONE, "HS256"),
        ({"exp": 2e9, "aud": "chat"}, ONE, "HS256"),
        ({"sub": "a b", "exp": 2e9, "aud": "chat"}, ONE, "HS256"),
        ({"sub": "ada\n", "exp": 2e9, "aud": "chat"}, ONE, "HS256"),
        ({"sub": "ada", "exp": 2e9, "aud": "chat", "name": "a\nb"}, ONE, "HS256"),
        ({"sub": "ada", "exp": 2e9, "aud": "chat", "name": "x" * 65}, ONE, "HS256"),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_and_foreign_tokens_are_refused(claims: dict[str, object], key: str, algorithm: str) -> None:
    tokens = Tokens([ONE], clock=Clock())
    kid = jwt.get_unverified_header(tokens.issue("ada"))["kid"]
    refused(tokens, jwt.encode(claims, key, algorithm, {"kid": kid}))


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "\ud800", "é.é.é"])
def test_what_is_no_token(token: str) -> None:
    refused(Tokens([ONE]), token)


def test_users_and_secrets_are_checked() -> None:
    tokens = Tokens([ONE])
    for user in ("", "a b", "é", "-a", "x" * 65, "a\n"):
        with pytest.raises(ValueError, match="user id"):
            tokens.issue(user)
    with pytest.raises(ValueError, match="name"):
        tokens.issue("ada", "a\x00")
    for secrets in ([], ["short"], [ONE, "short"]):
        with pytest.raises(SetupError):
            Tokens(secrets)


def test_guests_are_nobody_else() -> None:
    assert guest_id("Zoë 🦊!").startswith("zo-")
    assert guest_id("🦊").startswith("guest-")
    assert guest_id("ada") != guest_id("ada")
    tokens = Tokens([ONE])
    assert tokens.verify(tokens.issue(guest_id("x" * 200)))
