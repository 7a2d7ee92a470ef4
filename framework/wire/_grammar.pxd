"""The bytes of HTTP/1.1 (RFC 9110 section 5.6, RFC 9112, RFC 3986): classes and small checks, all inlined.

This file knows no Python object. ``_pure_grammar.py`` says the same in regular expressions.
"""

from libc.stdint cimport uint8_t

# The tables are worked out by the C compiler, so that every module that reads them has them as constants.
cdef extern from *:
    """
    enum { TOKEN = 1, VALUE = 2, VISIBLE = 4, PLAIN = 8, REG_NAME = 16, HEX = 32 };

    #define IS(c, x) ((c) == (x))
    #define DIGIT_(c) ((c) >= '0' && (c) <= '9')
    #define ALNUM_(c) (DIGIT_(c) || ((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
    #define HEX_(c) (DIGIT_(c) || ((c) >= 'A' && (c) <= 'F') || ((c) >= 'a' && (c) <= 'f'))
    #define TOKEN_(c) (ALNUM_(c) || IS(c, '!') || IS(c, '#') || IS(c, '$') || IS(c, '%') || IS(c, '&') \
        || IS(c, '\\'') || IS(c, '*') || IS(c, '+') || IS(c, '-') || IS(c, '.') || IS(c, '^') || IS(c, '_') \
        || IS(c, '`') || IS(c, '|') || IS(c, '~'))
    #define VALUE_(c) (IS(c, 9) || ((c) >= 32 && (c) != 127))
    #define VISIBLE_(c) ((c) >= 33 && (c) <= 126)
    #define REG_NAME_(c) (ALNUM_(c) || IS(c, '-') || IS(c, '.') || IS(c, '_') || IS(c, '~') || IS(c, '!') \
        || IS(c, '$') || IS(c, '&') || IS(c, '\\'') || IS(c, '(') || IS(c, ')') || IS(c, '*') || IS(c, '+') \
        || IS(c, ',') || IS(c, ';') || IS(c, '='))
    #define PLAIN_(c) (REG_NAME_(c) || IS(c, ':') || IS(c, '@') || IS(c, '/'))

    #define CLASS_(c) ((TOKEN_(c) ? TOKEN : 0) | (VALUE_(c) ? VALUE : 0) | (VISIBLE_(c) ? VISIBLE : 0) \
        | (PLAIN_(c) ? PLAIN : 0) | (REG_NAME_(c) ? REG_NAME : 0) | (HEX_(c) ? HEX : 0))
    #define LOWER_(c) ((c) >= 'A' && (c) <= 'Z' ? (c) + 32 : (c))

    #define FOUR(f, c) f(c), f((c) + 1), f((c) + 2), f((c) + 3)
    #define SIXTEEN(f, c) FOUR(f, c), FOUR(f, (c) + 4), FOUR(f, (c) + 8), FOUR(f, (c) + 12)
    #define SIXTYFOUR(f, c) SIXTEEN(f, c), SIXTEEN(f, (c) + 16), SIXTEEN(f, (c) + 32), SIXTEEN(f, (c) + 48)
    #define TABLE(f) { SIXTYFOUR(f, 0), SIXTYFOUR(f, 64), SIXTYFOUR(f, 128), SIXTYFOUR(f, 192) }

    static const unsigned char CLASS[256] = TABLE(CLASS_);
    static const unsigned char LOWER[256] = TABLE(LOWER_);
    """
    enum:
        TOKEN  # tchar
        VALUE  # field-vchar, SP, HTAB, obs-text
        VISIBLE  # what a request-target may hold
        PLAIN  # of a path that is canonical as it stands (see RequestHead.plain_path)
        REG_NAME  # unreserved, sub-delims
        HEX
    const uint8_t CLASS[256]
    const uint8_t LOWER[256]


cdef inline bint digit(uint8_t c) noexcept:
    return 48 <= c <= 57


cdef inline bint blank(uint8_t c) noexcept:
    """OWS and BWS: SP and HTAB, nothing else (RFC 9110 section 5.6.3)."""
    return c == 32 or c == 9


cdef inline bint same(const uint8_t* p, Py_ssize_t size, const char* lower, Py_ssize_t lower_size) noexcept:
    """Whether the bytes are the lower-case text, in any case."""
    cdef Py_ssize_t i
    if size != lower_size:
        return False
    for i in range(size):
        if LOWER[p[i]] != <uint8_t>lower[i]:
            return False
    return True


cdef inline const uint8_t* trimmed(const uint8_t* start, const uint8_t* end) noexcept:
    """The end of the bytes without trailing whitespace."""
    while end > start and blank((end - 1)[0]):
        end -= 1
    return end


cdef inline const uint8_t* skipped(const uint8_t* p, const uint8_t* end) noexcept:
    """The start of the bytes without leading whitespace."""
    while p < end and blank(p[0]):
        p += 1
    return p


cdef inline bint named(const uint8_t** at, const uint8_t* end) noexcept:
    """Steps over one character of a registered name: of REG_NAME, or percent-encoded."""
    cdef const uint8_t* p = at[0]
    if CLASS[p[0]] & REG_NAME:
        at[0] = p + 1
        return True
    if p[0] == b"%" and end - p >= 3 and CLASS[p[1]] & HEX and CLASS[p[2]] & HEX:
        at[0] = p + 3
        return True
    return False


cdef inline bint is_port(const uint8_t* p, const uint8_t* end) noexcept:
    if end - p > 5:
        return False
    while p < end:
        if not digit(p[0]):
            return False
        p += 1
    return True


cdef inline bint is_ipv4(const uint8_t* p, const uint8_t* end) noexcept:
    """Four numbers of 0 to 255 without leading zeros (RFC 3986 section 3.2.2)."""
    cdef const uint8_t* start
    cdef int parts = 0
    cdef int number
    while parts < 4:
        start = p
        number = 0
        while p < end and digit(p[0]) and p - start < 3:
            number = number * 10 + p[0] - 48
            p += 1
        if p == start or number > 255 or (start[0] == b"0" and p - start > 1):
            return False
        parts += 1
        if parts < 4:
            if p == end or p[0] != b".":
                return False
            p += 1
    return p == end


cdef inline bint is_ipv6(const uint8_t* p, const uint8_t* end) noexcept:
    """Eight groups of up to four hex digits, a run of them left out as "::", the last two perhaps as IPv4."""
    cdef const uint8_t* start
    cdef int groups = 0
    cdef bint gap = False
    if end - p >= 2 and p[0] == b":" and p[1] == b":":
        gap = True
        p += 2
    while p < end:
        start = p
        while p < end and CLASS[p[0]] & HEX:
            p += 1
        if p < end and p[0] == b".":
            groups += 2
            return is_ipv4(start, end) and (groups < 8 if gap else groups == 8)
        if p == start or p - start > 4:
            return False
        groups += 1
        if p == end:
            break
        if p[0] != b":" or p + 1 == end:
            return False
        p += 1
        if p[0] == b":":
            if gap:
                return False
            gap = True
            p += 1
    return groups < 8 if gap else groups == 8


cdef inline bint is_authority(const uint8_t* p, const uint8_t* end) noexcept:
    """uri-host [ ":" port ] (RFC 9110 section 7.2): perhaps empty; an IP literal stands in brackets."""
    cdef const uint8_t* start
    if p < end and p[0] == b"[":
        p += 1
        start = p
        while p < end and p[0] != b"]":
            p += 1
        if p == end or not is_ipv6(start, p):
            return False
        p += 1
        return p == end or (p[0] == b":" and is_port(p + 1, end))
    while p < end:
        if p[0] == b":":
            return is_port(p + 1, end)
        if not named(&p, end):
            return False
    return True


cdef inline bint is_userinfo(const uint8_t* p, const uint8_t* end) noexcept:
    while p < end:
        if p[0] == b":":
            p += 1
        elif not named(&p, end):
            return False
    return True
