"""Who a client is: signed tokens that expire, with keys that can be changed while the chat runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final

from msgspec import Struct

from framework.errors import SetupError
from framework.plugins.chat.errors import ChatError
from framework.plugins.chat.text import clean_line

__all__ = ["Identity", "Tokens", "guest_id"]

AUDIENCE: Final = "chat"
MIN_SECRET: Final = 32
MAX_NAME: Final = 64
LEEWAY: Final = 5.0

_is_user: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}", re.ASCII).fullmatch
_not_plain: Final = re.compile(r"[^a-z0-9]+")


class Identity(Struct, frozen=True):
    """Whose token it is, by what name people see that user, and until when (Unix time) the token is good."""

    user: str
    name: str
    until: float


class Tokens:
    """Issues and verifies tokens (JWT, HS256).

    Args:
        secrets: the first one signs, all of them verify: put a new one in front, and take the old one away when its
            tokens have expired. Each at least 32 characters.
        lifetime: seconds that a token is good for.
        clock: Unix time.

    Raises:
        SetupError: no secret, or a short one; PyJWT is not installed.
    """

    def __init__(
        self, secrets: Sequence[str], *, lifetime: float = 3600.0, clock: Callable[[], float] = time.time
    ) -> None:
        try:
            import jwt
        except ImportError:
            raise SetupError("chat: tokens need PyJWT: install the extra framework[auth]") from None
        if not secrets or any(len(secret) < MIN_SECRET for secret in secrets):
            raise SetupError(f"chat.secrets: at least one, each of at least {MIN_SECRET} characters")
        self.lifetime = lifetime
        self._jwt = jwt
        self._clock = clock
        self._keys = {sha256(secret.encode()).hexdigest()[:8]: secret for secret in secrets}
        self._signing = next(iter(self._keys))

    def issue(self, user: str, name: str = "", *, lifetime: float | None = None) -> str:
        """A token for ``user``, whom people see as ``name``.

        Raises:
            ValueError: a user id that is not 1 to 64 letters, digits and ``_.~-``, or a name that is too long.
        """
        if not _is_user(user):
            raise ValueError(f"{user!r} is no user id")
        now = self._clock()
        claims = {
            "sub": user,
            "name": _name(name, user),
            "aud": AUDIENCE,
            "iat": int(now),
            "exp": int(now + (self.lifetime if lifetime is None else lifetime)),
        }
        return self._jwt.encode(claims, self._keys[self._signing], "HS256", {"kid": self._signing})

    def verify(self, token: str) -> Identity:
        """Whose token it is. Raises ChatError ``token``."""
        jwt = self._jwt
        try:
            kid: object = jwt.get_unverified_header(token).get("kid")
            secret = self._keys.get(kid) if isinstance(kid, str) else None
            if secret is None:
                raise ChatError("token", "the token was signed by a key that is not in use")
            # The times are looked at here, by this object's clock.
            claims: dict[str, Any] = jwt.decode(
                token,
                secret,
                ["HS256"],
                {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "sub"]},
                audience=AUDIENCE,
            )
        except (jwt.PyJWTError, ValueError):
            raise ChatError("token", "the token is not good") from None
        user, until, name = claims["sub"], claims["exp"], claims.get("name", "")
        if not (isinstance(user, str) and _is_user(user) and isinstance(until, int | float)):
            raise ChatError("token", "the token is not good")
        if until + LEEWAY <= self._clock():
            raise ChatError("token", "the token has expired")
        try:
            shown = _name(name if isinstance(name, str) else "", user)
        except ValueError:
            raise ChatError("token", "the token is not good") from None
        return Identity(user, shown, float(until))


def guest_id(name: str) -> str:
    """A user id that nobody has, which looks like the name."""
    plain = _not_plain.sub("-", name.lower()).strip("-")[:24]
    return f"{plain or 'guest'}-{token_hex(4)}"


def _name(name: str, user: str) -> str:
    try:
        return clean_line(name, MAX_NAME) or user
    except ChatError as error:
        raise ValueError(f"name: {error}") from None
