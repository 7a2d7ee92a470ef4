# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
"""The compiled leaf that writes: one allocation for a whole response. ``_pure_encode.py`` is the twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from framework.wire._grammar cimport CLASS, TOKEN, VALUE, same

from framework.errors import LocalProtocolError


def encode_fields(list pairs not None):
    """Field lines of (name, value) pairs, each ended by CRLF.

    Raises LocalProtocolError where a name is no token, or a value holds a control character (CR, LF and NUL
    among them) or one past ISO-8859-1.
    """
    return lines(pairs, False)


cdef bytes lines(list pairs, bint framed):
    cdef list parts = []
    cdef bytes name, value
    for pair in pairs:
        name, value = field_bytes(pair)
        if framed and is_framing(name):
            raise LocalProtocolError(f"the field {pair[0]!r} in a response whose framing is already decided")
        parts += (name, b": ", value, b"\r\n")
    return b"".join(parts)


cdef bint is_framing(bytes name):
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(name)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    return same(p, size, b"content-length", 14) or same(p, size, b"transfer-encoding", 17)


cdef tuple field_bytes(object pair):
    cdef bytes name, value
    cdef const uint8_t* p
    cdef const uint8_t* end
    try:
        name = (<str?>pair[0]).encode("latin-1")
        value = (<str?>pair[1]).encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"the field {pair[0]!r} holds a character past ISO-8859-1") from None
    p = <const uint8_t*>PyBytes_AS_STRING(name)
    end = p + PyBytes_GET_SIZE(name)
    if p == end:
        raise LocalProtocolError("a field without a name")
    while p < end:
        if not CLASS[p[0]] & TOKEN:
            raise LocalProtocolError(f"an invalid field name {pair[0]!r}")
        p += 1
    p = <const uint8_t*>PyBytes_AS_STRING(value)
    end = p + PyBytes_GET_SIZE(value)
    while p < end:
        if not CLASS[p[0]] & VALUE:
            raise LocalProtocolError(f"an invalid character in the value of {pair[0]!r}")
        p += 1
    return name, value


def encode_response(
    bytes prefix not None, list pairs, bytes body not None, bytes tail not None, bint with_body
):
    """One buffer: ``prefix`` (status line and fixed fields), Content-Length, ``pairs``, ``tail`` (date,
    connection, empty line), and the body unless ``with_body`` is false. ``pairs`` may be None.

    Raises LocalProtocolError as encode_fields does, and for a second framing field among the pairs.
    """
    cdef bytes extra = lines(pairs, True) if pairs else b""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(body)
    cdef char digits[24]
    cdef int used = 0
    cdef Py_ssize_t rest = n
    while True:
        used += 1
        digits[24 - used] = 48 + rest % 10
        rest //= 10
        if rest == 0:
            break
    cdef Py_ssize_t size = PyBytes_GET_SIZE(prefix) + 16 + used + 2 + PyBytes_GET_SIZE(extra)
    size += PyBytes_GET_SIZE(tail) + (n if with_body else 0)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    cdef char* w = PyBytes_AS_STRING(out)
    w = put(w, PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix))
    w = put(w, b"content-length: ", 16)
    w = put(w, digits + 24 - used, used)
    w = put(w, b"\r\n", 2)
    w = put(w, PyBytes_AS_STRING(extra), PyBytes_GET_SIZE(extra))
    w = put(w, PyBytes_AS_STRING(tail), PyBytes_GET_SIZE(tail))
    if with_body:
        memcpy(w, PyBytes_AS_STRING(body), n)
    return out


cdef inline char* put(char* to, const char* source, Py_ssize_t size) noexcept:
    memcpy(to, source, size)
    return to + size
