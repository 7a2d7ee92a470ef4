"""The keys that tokens are verified with: given, or fetched from who makes the tokens, and kept fresh."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from framework.errors import SetupError

__all__ = ["JWKS", "Key", "KeySource", "StaticKeys", "keys_of_jwks"]

log = logging.getLogger("framework.auth")

MAX_KEYS: Final = 100

# Which algorithms a key of a kind can have been used with: RFC 7518 section 3.1, RFC 8037. A token's header chooses
# among these at most, so that no public key is ever taken for the secret of an HMAC.
_BY_TYPE: Final[Mapping[str, frozenset[str]]] = {
    "oct": frozenset({"HS256", "HS384", "HS512"}),
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "OKP": frozenset({"EdDSA"}),
}
_BY_CURVE: Final[Mapping[str, frozenset[str]]] = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
}
_MIN_SECRET: Final = 32
_MIN_RSA_BITS: Final = 2048


class Key(msgspec.Struct, frozen=True):
    """A key and the algorithms it may be used with. ``material`` is what PyJWT verifies with."""

    kid: str | None
    algorithms: frozenset[str]
    material: Any


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


class KeySource(Protocol):
    """Finds keys by their ids."""

    async def keys_for(self, kid: str | None) -> Sequence[Key]:
        """The keys that may have signed a token with that ``kid``; none, when it is not known."""
        ...


def _of_jwk(data: Mapping[str, Any]) -> Key | None:
    """The key, None for one that is not for verifying. Raises whatever is wrong with it."""
    from jwt import PyJWK

    kind = data.get("kty")
    allowed = _BY_CURVE.get(str(data.get("crv"))) if kind == "EC" else _BY_TYPE.get(str(kind))
    if allowed is None or data.get("use", "sig") != "sig" or "verify" not in data.get("key_ops", ["verify"]):
        return None
    named = data.get("alg")
    if named is not None:
        allowed = allowed.intersection({named})
        if not allowed:
            return None
    material = PyJWK.from_dict(dict(data), algorithm=min(allowed)).key
    _check_strength(material)
    kid = data.get("kid")
    return Key(kid if isinstance(kid, str) else None, allowed, material)


def _check_strength(material: Any) -> None:
    if isinstance(material, bytes) and len(material) < _MIN_SECRET:
        raise ValueError(f"a secret for HMAC has at least {_MIN_SECRET} bytes")
    bits = getattr(material, "key_size", _MIN_RSA_BITS)
    if type(material).__name__.startswith("RSA") and bits < _MIN_RSA_BITS:
        raise ValueError(f"an RSA key has at least {_MIN_RSA_BITS} bits")


def keys_of_jwks(document: bytes) -> list[Key]:
    """The usable keys of a JWK Set (RFC 7517 section 5). One that is broken or unknown does not spoil the others.

    Raises:
        ValueError: no JSON, no set, or no usable key in it.
    """
    try:
        listed = msgspec.json.decode(document, type=_Set).keys
    except msgspec.MsgspecError as error:
        raise ValueError(f"no JWK Set: {error}") from None
    found: list[Key] = []
    for item in listed[:MAX_KEYS]:
        try:
            key = _of_jwk(item)
        except Exception as error:
            log.warning("a key of a JWK Set cannot be used: %s", error)
            continue
        if key is not None:
            found.append(key)
    if not found:
        raise ValueError("no key in it can be used")
    return found


class StaticKeys:
    """Keys that are given and stay.

    Args:
        secret: of HMAC, at least 32 bytes, for HS256, HS384 and HS512.
        public_key: in PEM, for the algorithms of its kind.
        jwks: a JWK Set as JSON.

    Raises:
        SetupError: none, or one that is too weak or broken; or PyJWT is not installed.
    """

    def __init__(
        self,
        *,
        secret: str | bytes | None = None,
        public_key: str | bytes | None = None,
        jwks: bytes | None = None,
    ) -> None:
        try:
            keys: list[Key] = [] if jwks is None else keys_of_jwks(jwks)
            if secret is not None:
                material = secret.encode() if isinstance(secret, str) else secret
                _check_strength(material)
                keys.append(Key(None, _BY_TYPE["oct"], material))
            if public_key is not None:
                keys.append(_of_pem(public_key))
        except ImportError:
            raise SetupError("tokens need PyJWT: install the extra framework[auth]") from None
        except ValueError as error:
            raise SetupError(f"keys for tokens: {error}") from None
        if not keys:
            raise SetupError("keys for tokens: none is given")
        self._keys = keys

    async def keys_for(self, kid: str | None) -> Sequence[Key]:
        """Those with that id, and those without one."""
        return [key for key in self._keys if key.kid is None or kid is None or key.kid == kid]


def _of_pem(pem: str | bytes) -> Key:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    material = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    if isinstance(material, rsa.RSAPublicKey):
        _check_strength(material)
        return Key(None, _BY_TYPE["RSA"], material)
    if isinstance(material, ec.EllipticCurvePublicKey):
        names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
        curve = names.get(material.curve.name)
        if curve is None:
            raise ValueError(f"no algorithm uses the curve {material.curve.name}")
        return Key(None, _BY_CURVE[curve], material)
    if isinstance(material, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return Key(None, _BY_TYPE["OKP"], material)
    raise ValueError("the public key is of a kind that tokens do not use")


class JWKS:
    """A JWK Set of somebody else, fetched when first needed and again from time to time.

    While it cannot be fetched the keys that are known stay good for ``max_stale`` seconds. A token with an unknown
    ``kid`` has the set fetched at once, for keys are rotated; but not more often than every ``min_interval`` seconds,
    or strangers with made-up ids could have us attack who makes the tokens.

    Args:
        fetch: gets the document; it has ``timeout`` seconds.
        refresh_interval: seconds after which it is fetched again, in the background, while the known keys serve.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        refresh_interval: float = 300.0,
        min_interval: float = 10.0,
        max_stale: float = 86_400.0,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < min_interval <= refresh_interval <= max_stale:
            raise SetupError("jwks: 0 < min_interval <= refresh_interval <= max_stale does not hold")
        self._fetch = fetch
        self._refresh_interval = refresh_interval
        self._min_interval = min_interval
        self._max_stale = max_stale
        self._timeout = timeout
        self._clock = clock
        self._keys: list[Key] = []
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def keys_for(self, kid: str | None) -> Sequence[Key]:
        """The keys that may have signed a token with that ``kid``."""
        now = self._clock()
        age = now - self._fetched
        found = self._find(kid) if age <= self._max_stale else []
        if not found:
            if now - self._tried >= self._min_interval or self._task is not None:
                await asyncio.shield(self._refresh(now))
                found = self._find(kid) if self._clock() - self._fetched <= self._max_stale else []
        elif age >= self._refresh_interval and now - self._tried >= self._min_interval:
            self._refresh(now)
        return found

    async def aclose(self) -> None:
        """Stops fetching."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _find(self, kid: str | None) -> list[Key]:
        return [key for key in self._keys if kid is None or key.kid is None or key.kid == kid]

    def _refresh(self, now: float) -> asyncio.Task[None]:
        """The one fetch that is under way; all who need it wait for the same."""
        if self._task is None:
            self._tried = now
            self._task = asyncio.create_task(self._get(), name="jwks")
            self._task.add_done_callback(self._done)
        return self._task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._task = None

    async def _get(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                keys = keys_of_jwks(await self._fetch())
        except Exception as error:
            log.warning("the keys for tokens could not be fetched: %s", error or type(error).__name__)
            return
        self._keys = keys
        self._fetched = self._clock()
