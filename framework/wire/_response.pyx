# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
# cython: auto_pickle=False
"""The compiled leaf that reads status lines (RFC 9112 section 4). ``_pure_exact.py`` is the twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t

from framework.wire._grammar cimport CLASS, VALUE, digit
from framework.wire._head cimport Head, Limits, fault, incomplete, out_of_range

from framework.errors import RemoteProtocolError


cdef class ResponseHead(Head):
    """A status line and its field block."""


def parse_response(bytes data not None, Py_ssize_t start, Limits limits not None):
    """Parses the response head that begins at ``start`` of ``data``; None while it is incomplete.

    Raises RemoteProtocolError, always with status 502: the fault lies upstream, not with the client.
    """
    cdef const uint8_t* base = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if not 0 <= start <= size:
        out_of_range(start, size)
    cdef bint over = size - start > limits.max_head
    cdef const uint8_t* end = base + (start + limits.max_head if over else size)
    cdef const uint8_t* after
    cdef ResponseHead head = ResponseHead.__new__(ResponseHead)
    try:
        after = status_line(base + start, end, head)
        if after != NULL:
            after = head.scan(after, end, limits.max_fields, False)
        if after == NULL:
            return incomplete(over)
        head.settle(False)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(error.reason, 502) from None
    head.host = ""
    head.end = after - base
    return head


cdef const uint8_t* status_line(const uint8_t* p, const uint8_t* end, ResponseHead head) except? NULL:
    """HTTP-version SP status-code SP [ reason-phrase ] CRLF; NULL when the bytes end before it."""
    cdef const char* form = "HTTP/1.d ddd "
    cdef const uint8_t* reason
    cdef int i
    for i in range(13):
        if p + i == end:
            return NULL
        if not digit(p[i]) if form[i] == b"d" else p[i] != <uint8_t>form[i]:
            fault("an invalid status line")
    if p[9] == b"0":
        fault("an invalid status line")
    head.minor = 0 if p[7] == b"0" else 1
    head.status = (p[9] - 48) * 100 + (p[10] - 48) * 10 + (p[11] - 48)
    reason = p + 13
    p = reason
    while p < end and CLASS[p[0]] & VALUE:
        p += 1
    if p == end:
        return NULL
    if p[0] != b"\r":
        fault("an invalid status line")
    if p + 1 == end:
        return NULL
    if p[1] != b"\n":
        fault("an invalid status line")
    head.reason = PyUnicode_DecodeLatin1(<const char*>reason, p - reason, NULL)
    return p + 2
