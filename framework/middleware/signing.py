"""Signed texts, as cookies and forms carry them: readable by all, made by us alone. itsdangerous' one door."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from hmac import compare_digest
from typing import Final, NamedTuple

from framework.errors import SetupError

__all__ = ["Signer", "Unsigned"]

_MIN_KEY: Final = 32
_MAX_TOKEN: Final = 4096


class Unsigned(NamedTuple):
    """What a token held, and whether the newest key signed it."""

    payload: bytes
    by_newest: bool


class Signer:
    """Signs by HMAC-SHA256, with a key derived for one purpose, so that no token passes for one of another kind.

    Args:
        keys: secrets of at least 32 bytes; the first signs, all verify. To rotate, put the new one in front and drop
            the old one when what it signed has expired.
        purpose: names the kind of token.

    Raises:
        SetupError: no key, a short one, or itsdangerous is not installed.
    """

    __slots__ = ("_signers",)

    def __init__(self, keys: Sequence[str | bytes], purpose: str) -> None:
        if isinstance(keys, str | bytes):
            keys = [keys]
        secrets = [key.encode() if isinstance(key, str) else key for key in keys]
        if not secrets or min(map(len, secrets)) < _MIN_KEY:
            raise SetupError(
                f"signing keys: at least one is needed, of at least {_MIN_KEY} bytes each; make one with: "
                "python -c 'import secrets; print(secrets.token_hex(32))'"
            )
        try:
            from itsdangerous import Signer as Engine
        except ImportError:
            raise SetupError(
                "signed cookies need itsdangerous: install the extra framework[sessions]"
            ) from None
        self._signers = [
            Engine(secret, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)
            for secret in secrets
        ]

    def sign(self, payload: bytes) -> str:
        """``payload`` in base64url, a dot, and its signature: characters that cookies, URLs and forms take as is."""
        from itsdangerous import base64_encode

        return self._signers[0].sign(base64_encode(payload)).decode("ascii")

    def unsign(self, token: str) -> Unsigned | None:
        """What ``sign`` was given; None for every other text."""
        from itsdangerous import BadData, base64_decode

        text, dot, signature = token.rpartition(".")
        if not dot or len(token) > _MAX_TOKEN or not token.isascii():
            return None
        for index, signer in enumerate(self._signers):
            # Compared as text: two spellings of one signature are two tokens.
            if compare_digest(signer.get_signature(text), signature.encode("ascii")):
                try:
                    return Unsigned(base64_decode(text), index == 0)
                except BadData:
                    return None
        return None
