"""The part of the pure twin that writes. ``_encode.pyx`` is the compiled one."""

from __future__ import annotations

from framework.errors import LocalProtocolError
from framework.wire._pure_grammar import TOKEN, VALUE

__all__ = ["encode_fields", "encode_response"]


def encode_fields(pairs: list[tuple[str, str]]) -> bytes:
    """Field lines of (name, value) pairs, each ended by CRLF.

    Raises LocalProtocolError where a name is no token, or a value holds a control character (CR, LF and NUL
    among them) or one past ISO-8859-1.
    """
    return b"".join([_line(name, value) for name, value in pairs])


def encode_response(
    prefix: bytes, pairs: list[tuple[str, str]] | None, body: bytes, tail: bytes, with_body: bool
) -> bytes:
    """One buffer: ``prefix`` (status line and fixed fields), Content-Length, ``pairs``, ``tail`` (date,
    connection, empty line), and the body unless ``with_body`` is false. ``pairs`` may be None.

    Raises LocalProtocolError as encode_fields does, and for a second framing field among the pairs.
    """
    length = b"content-length: %d\r\n" % len(body)
    lines = [_framed_line(name, value) for name, value in pairs] if pairs else ()
    return b"".join((prefix, length, *lines, tail, body if with_body else b""))


def _framed_line(name: str, value: str) -> bytes:
    line = _line(name, value)
    if name.lower() in ("content-length", "transfer-encoding"):
        raise LocalProtocolError(f"the field {name!r} in a response whose framing is already decided")
    return line


def _line(name: str, value: str) -> bytes:
    if TOKEN(name) and VALUE(value):
        return f"{name}: {value}\r\n".encode("latin-1")
    if not (_is_latin(name) and _is_latin(value)):
        raise LocalProtocolError(f"the field {name!r} holds a character past ISO-8859-1")
    if not name:
        raise LocalProtocolError("a field without a name")
    if not TOKEN(name):
        raise LocalProtocolError(f"an invalid field name {name!r}")
    raise LocalProtocolError(f"an invalid character in the value of {name!r}")


def _is_latin(text: str) -> bool:
    return all(character <= "\xff" for character in text)
