# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
# cython: auto_pickle=False
"""The compiled leaf that reads field blocks: one C pass, the same for requests and responses.

``_pure_exact.py`` is the twin; the property tests hold the two equal for any bytes, to the first fault found.
Grammar: RFC 9112 sections 5 and 6, RFC 9110 section 5. No whitespace but SP and HTAB is ever skipped, and only
ASCII digits are read as a number.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeLatin1
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

from framework.wire._grammar cimport CLASS, TOKEN, VALUE, blank, digit, is_authority, same, skipped, trimmed

from framework.errors import RemoteProtocolError

TWIN = "compiled"


cdef object fault(str reason, int status=400):
    raise RemoteProtocolError(reason, status)


cdef object incomplete(bint over):
    """None, the answer to a head that goes on, unless no more of it may come."""
    if over:
        fault("the head is too large", 431)
    return None


cdef bytes lowered(const uint8_t* p, const uint8_t* end):
    """A copy of ASCII, in lower case."""
    cdef Py_ssize_t size = end - p
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef char* to = PyBytes_AS_STRING(made)
    cdef Py_ssize_t i
    for i in range(size):
        to[i] = p[i] | 0x20 if b"A" <= p[i] <= b"Z" else p[i]
    return made


cdef object out_of_range(Py_ssize_t start, Py_ssize_t size):
    raise IndexError(f"a head that starts at byte {start} of {size}")


cdef class Limits:
    """The bounds of a head: whole in bytes, number of field lines, target in bytes.

    Raises ValueError unless 0 < max_target < max_head and max_fields >= 1.
    """

    def __init__(self, Py_ssize_t max_head=32768, Py_ssize_t max_fields=100, Py_ssize_t max_target=8192):
        if not 0 < max_target < max_head or max_fields < 1:
            raise ValueError("limits of a head: 0 < max_target < max_head and max_fields >= 1")
        self.max_head = max_head
        self.max_fields = max_fields
        self.max_target = max_target


cdef class Head:
    """What the field block of any message says about its framing; its fields stay bytes until asked for."""

    def fields(self):
        """All field lines in order as (lower-case name, value), values decoded as ISO-8859-1."""
        cdef bytes block = self.block or b""
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(block)
        cdef const uint8_t* end = p + PyBytes_GET_SIZE(block)
        cdef const uint8_t* colon
        cdef const uint8_t* line_end
        cdef list out = []
        while p < end:
            colon = <const uint8_t*>memchr(p, b":", end - p)
            line_end = <const uint8_t*>memchr(colon, b"\r", end - colon)
            name = PyUnicode_DecodeASCII(<const char*>p, colon - p, NULL).lower()
            out.append((name, text(colon + 1, line_end)))
            p = line_end + 2
        return out

    def raw_fields(self):
        """All field lines in order as (lower-case name, value), both bytes."""
        cdef bytes block = self.block or b""
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(block)
        cdef const uint8_t* end = p + PyBytes_GET_SIZE(block)
        cdef const uint8_t* colon
        cdef const uint8_t* line_end
        cdef const uint8_t* start
        cdef const uint8_t* stop
        cdef list out = []
        while p < end:
            colon = <const uint8_t*>memchr(p, b":", end - p)
            line_end = <const uint8_t*>memchr(colon, b"\r", end - colon)
            start = skipped(colon + 1, line_end)
            stop = trimmed(start, line_end)
            out.append((lowered(p, colon), PyBytes_FromStringAndSize(<const char*>start, stop - start)))
            p = line_end + 2
        return out

    def field(self, str name not None):
        """The value of the first field called ``name`` (lower case), or None."""
        cdef bytes block = self.block or b""
        cdef bytes wanted = name.encode("utf-8")
        cdef const char* w = PyBytes_AS_STRING(wanted)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(wanted)
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(block)
        cdef const uint8_t* end = p + PyBytes_GET_SIZE(block)
        cdef const uint8_t* line_end
        if b":" in wanted:
            return None
        while p < end:
            line_end = <const uint8_t*>memchr(p, b"\r", end - p)
            if p + size < line_end and p[size] == b":" and same(p, size, w, size):
                return text(p + size + 1, line_end)
            p = line_end + 2
        return None

    cdef const uint8_t* scan(
        self, const uint8_t* p, const uint8_t* end, Py_ssize_t max_fields, bint request
    ) except? NULL:
        """Takes up all field lines and the empty line; returns what follows, NULL when the bytes end."""
        cdef const uint8_t* block = p
        cdef const uint8_t* name
        cdef const uint8_t* value
        cdef Py_ssize_t size
        cdef Py_ssize_t count = 0
        self.content_length = -1
        while True:
            if p == end:
                return NULL
            if p[0] == b"\r":
                if p + 1 == end:
                    return NULL
                if p[1] != b"\n":
                    fault("a bare CR in the head")
                break
            name = p
            while p < end and CLASS[p[0]] & TOKEN:
                p += 1
            if p == end:
                return NULL
            size = p - name
            if p[0] != b":" or size == 0:
                fault("an invalid field line")
            value = skipped(p + 1, end)
            p = value
            while p < end and CLASS[p[0]] & VALUE:
                p += 1
            if p == end:
                return NULL
            if p[0] != b"\r":
                fault("an invalid character in a field value")
            if p + 1 == end:
                return NULL
            if p[1] != b"\n":
                fault("a bare CR in a field value")
            count += 1
            if count > max_fields:
                fault("too many header fields", 431)
            if size in (4, 6, 7, 10, 14, 17):
                self.note(name, size, value, trimmed(value, p), request)
            p += 2
        self.block = PyBytes_FromStringAndSize(<const char*>block, p - block)
        return p + 2

    cdef int note(
        self, const uint8_t* name, Py_ssize_t size, const uint8_t* value, const uint8_t* end, bint request
    ) except -1:
        """Takes up a field that decides about framing, routing or the connection's life."""
        if size == 4:
            if request and same(name, size, b"host", 4):
                self.hosts += 1
                if self.hosts > 1:
                    fault("more than one Host field")
                if not is_authority(value, end):
                    fault("an invalid Host field")
                if self.host is None:
                    self.host = PyUnicode_DecodeASCII(<const char*>value, end - value, NULL)
        elif size == 6:
            if request and self.minor >= 1 and same(name, size, b"expect", 6):
                if not same(value, end - value, b"100-continue", 12):
                    fault("an expectation this server does not know", 417)
                self.expect_continue = True
        elif size == 7:
            if same(name, size, b"upgrade", 7):
                self.upgrade_field = True
        elif size == 10:
            if same(name, size, b"connection", 10):
                self.take_connection(value, end)
        elif size == 14:
            if same(name, size, b"content-length", 14):
                self.take_length(value, end)
        elif same(name, size, b"transfer-encoding", 17):
            self.take_codings(value, end)
        return 0

    cdef int take_length(self, const uint8_t* p, const uint8_t* end) except -1:
        """One number of ASCII digits; no list, no second field, even if equal (RFC 9112 section 6.3)."""
        cdef int64_t total = 0
        cdef bint huge = False
        if self.content_length >= 0:
            fault("more than one Content-Length field")
        if p == end:
            fault("an invalid Content-Length")
        while p < end:
            if not digit(p[0]):
                fault("an invalid Content-Length")
            if total > 99999999999999999:
                huge = True
            else:
                total = total * 10 + (p[0] - 48)
            p += 1
        if huge:
            fault("the Content-Length is past all limits", 413)
        self.content_length = total
        return 0

    cdef int take_connection(self, const uint8_t* p, const uint8_t* end) except -1:
        """The tokens of the list that a server acts on, in any case (RFC 9110 section 7.6.1)."""
        cdef const uint8_t* last
        cdef const uint8_t* comma
        cdef Py_ssize_t size
        while p < end:
            comma = <const uint8_t*>memchr(p, b",", end - p)
            if comma == NULL:
                comma = end
            p = skipped(p, comma)
            last = trimmed(p, comma)
            size = last - p
            if same(p, size, b"close", 5):
                self.close_token = True
            elif same(p, size, b"keep-alive", 10):
                self.keep_token = True
            elif same(p, size, b"upgrade", 7):
                self.upgrade_token = True
            p = comma + 1
        return 0

    cdef int take_codings(self, const uint8_t* p, const uint8_t* end) except -1:
        """Codings in order, over all lines; "chunked" may stand once and last (RFC 9112 section 6.1)."""
        cdef const uint8_t* comma
        cdef Py_ssize_t size
        self.coded = True
        while True:
            comma = <const uint8_t*>memchr(p, b",", end - p) if p < end else NULL
            p = skipped(p, end if comma == NULL else comma)
            size = trimmed(p, end if comma == NULL else comma) - p
            if size == 0:
                fault("an empty transfer coding")
            if self.chunked:
                fault("a transfer coding after chunked")
            if same(p, size, b"chunked", 7):
                self.chunked = True
            elif not (
                same(p, size, b"gzip", 4) or same(p, size, b"deflate", 7) or same(p, size, b"compress", 8)
                or same(p, size, b"x-gzip", 6) or same(p, size, b"x-compress", 10)
                or same(p, size, b"identity", 8)
            ):
                fault("an unknown transfer coding", 501)
            if comma == NULL:
                return 0
            p = comma + 1

    cdef int settle(self, bint request) except -1:
        """What only the whole block can tell.

        A response whose last coding is not chunked ends with its connection (RFC 9112 section 6.3).
        """
        if self.coded:
            if request and not self.chunked:
                fault("a transfer coding other than chunked comes last")
            if self.minor == 0:
                fault("Transfer-Encoding in an HTTP/1.0 message")
            if self.content_length >= 0:
                fault("both Transfer-Encoding and Content-Length")
        self.keep_alive = not self.close_token and (self.minor >= 1 or self.keep_token)
        self.upgrade = self.upgrade_field and self.upgrade_token and self.minor >= 1
        return 0


cdef inline str text(const uint8_t* p, const uint8_t* end):
    p = skipped(p, end)
    return PyUnicode_DecodeLatin1(<const char*>p, trimmed(p, end) - p, NULL)
