# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
# cython: auto_pickle=False
"""The compiled leaf that reads request lines (RFC 9112 sections 2 and 3). ``_pure_exact.py`` is the twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from framework.wire._grammar cimport CLASS, PLAIN, TOKEN, VISIBLE, digit, is_authority, is_userinfo, same
from framework.wire._head cimport Head, Limits, fault, incomplete, out_of_range


cdef class RequestHead(Head):
    """A request line and its field block. ``plain_path``: the path is canonical as it stands."""

    cdef int take_target(self, const uint8_t* p, const uint8_t* end) except -1:
        """Tells the four forms apart (RFC 9112 section 3.2); splits path and query, drops a fragment."""
        self.target = PyUnicode_DecodeASCII(<const char*>p, end - p, NULL)
        self.query_string = ""
        if self.method == "CONNECT":
            if not is_authority(p, end) or not ends_in_port(p, end):
                fault("CONNECT needs host and port")
            self.host = self.target
            self.raw_path = ""
            return 0
        if p[0] != b"/":
            if end - p == 1 and p[0] == b"*":
                if self.method != "OPTIONS" and self.method != "M-SEARCH":
                    fault("the target * belongs to OPTIONS")
                self.raw_path = "*"
                self.plain_path = True
                return 0
            p = self.take_authority(p, end)
        return self.split(p, end)

    cdef const uint8_t* take_authority(self, const uint8_t* p, const uint8_t* end) except NULL:
        """Of an absolute-form: its host goes before the Host field's (RFC 9112 section 3.2.2)."""
        cdef const uint8_t* user = NULL
        cdef const uint8_t* stop
        if end - p > 7 and same(p, 7, b"http://", 7):
            p += 7
        elif end - p > 8 and same(p, 8, b"https://", 8):
            p += 8
        else:
            fault("an invalid request target")
        stop = p
        while stop < end and stop[0] != b"/" and stop[0] != b"?" and stop[0] != b"#":
            if stop[0] == b"@" and user == NULL:
                user = p
                if not is_userinfo(user, stop):
                    fault("an invalid authority in the request target")
                p = stop + 1
            stop += 1
        if stop == p or p[0] == b":" or not is_authority(p, stop):
            fault("an invalid authority in the request target")
        self.host = PyUnicode_DecodeASCII(<const char*>p, stop - p, NULL)
        return stop

    cdef int split(self, const uint8_t* p, const uint8_t* end) except -1:
        cdef const uint8_t* start = p
        cdef const uint8_t* query
        cdef bint plain = True
        cdef uint8_t previous = 0
        while p < end and p[0] != b"?" and p[0] != b"#":
            if not CLASS[p[0]] & PLAIN or (previous == b"/" and (p[0] == b"/" or p[0] == b".")):
                plain = False
            previous = p[0]
            p += 1
        self.plain_path = plain
        self.raw_path = "/" if p == start else PyUnicode_DecodeASCII(<const char*>start, p - start, NULL)
        if p < end and p[0] == b"?":
            p += 1
            query = p
            while p < end and p[0] != b"#":
                p += 1
            self.query_string = PyUnicode_DecodeASCII(<const char*>query, p - query, NULL)
        return 0


cdef inline bint ends_in_port(const uint8_t* p, const uint8_t* end) noexcept:
    """Of an authority: neither its host nor its port is empty."""
    cdef const uint8_t* port = end
    while port > p and digit((port - 1)[0]):
        port -= 1
    return port < end and port - 1 > p and (port - 1)[0] == b":"


def parse_request(bytes data not None, Py_ssize_t start, Limits limits not None, type cls not None):
    """Parses the request head that begins at ``start`` of ``data`` into a ``cls``, a subclass of RequestHead.

    Returns None while the head is incomplete; ``end`` of the result is where the body begins.
    Raises RemoteProtocolError with the status that answers the fault, as early as the bytes show it.
    """
    cdef const uint8_t* base = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if not 0 <= start <= size:
        out_of_range(start, size)
    cdef bint over = size - start > limits.max_head
    cdef const uint8_t* end = base + (start + limits.max_head if over else size)
    cdef const uint8_t* p = base + start
    cdef const uint8_t* method
    cdef const uint8_t* target
    cdef const uint8_t* after
    cdef RequestHead head
    while p < end and p[0] == b"\r":
        if p + 1 == end:
            return incomplete(over)
        if p[1] != b"\n":
            fault("a bare CR before the request line")
        p += 2
    method = p
    while p < end and CLASS[p[0]] & TOKEN:
        p += 1
    if p - method > 32:
        fault("the method is too long", 501)
    if p == end:
        return incomplete(over)
    if p[0] != b" " or p == method:
        fault("an invalid method")
    target = p + 1
    p = target
    while p < end and CLASS[p[0]] & VISIBLE:
        p += 1
    if p - target > limits.max_target:
        fault("the request target is too long", 414)
    if p == end:
        return incomplete(over)
    if p[0] != b" " or p == target:
        fault("an invalid request target")
    head = cls.__new__(cls)
    after = version(p + 1, end, head)
    if after == NULL:
        return incomplete(over)
    if target - method == 4 and memcmp(method, b"GET", 3) == 0:
        head.method = "GET"
    elif target - method == 5 and memcmp(method, b"POST", 4) == 0:
        head.method = "POST"
    else:
        head.method = PyUnicode_DecodeASCII(<const char*>method, target - 1 - method, NULL)
    head.take_target(target, p)
    after = head.scan(after, end, limits.max_fields, True)
    if after == NULL:
        return incomplete(over)
    if head.hosts == 0 and head.minor >= 1:
        fault("the Host field is missing")
    head.settle(True)
    if head.host is None:
        head.host = ""
    head.end = after - base
    return head


cdef const uint8_t* version(const uint8_t* p, const uint8_t* end, Head head) except? NULL:
    """HTTP-version CRLF; NULL when the bytes end before it. A later minor version is read as 1.1."""
    cdef const char* name = "HTTP/"
    cdef int i
    for i in range(5):
        if p == end:
            return NULL
        if p[0] != <uint8_t>name[i]:
            fault("an invalid HTTP version")
        p += 1
    if p == end:
        return NULL
    if not digit(p[0]):
        fault("an invalid HTTP version")
    if end - p < 3:
        return NULL
    if p[1] != b"." or not digit(p[2]):
        fault("an invalid HTTP version")
    if p[0] != b"1":
        fault("an HTTP version this server does not speak", 505)
    if end - p < 4:
        return NULL
    if p[3] != b"\r":
        fault("an invalid HTTP version")
    if end - p < 5:
        return NULL
    if p[4] != b"\n":
        fault("an invalid HTTP version")
    head.minor = 0 if p[2] == b"0" else 1
    return p + 5
