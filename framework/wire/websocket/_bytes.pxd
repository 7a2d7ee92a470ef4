"""Masking and UTF-8 on bare bytes (RFC 6455 section 5.3, RFC 3629 section 4), all inlined.

This file knows no Python object.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint32_t turned(uint32_t mask, Py_ssize_t by) noexcept nogil:
    """The mask whose first byte is byte ``by`` of ``mask``, modulo four, as they lie in memory."""
    cdef uint8_t old[4]
    cdef uint8_t new[4]
    cdef uint32_t result
    cdef int i
    memcpy(old, &mask, 4)
    for i in range(4):
        new[i] = old[(i + by) & 3]
    memcpy(&result, new, 4)
    return result


cdef inline bint xor_copy(uint8_t* to, const uint8_t* p, Py_ssize_t size, uint32_t mask) noexcept nogil:
    """Copies with every byte masked; returns whether one of the results is not ASCII."""
    cdef uint64_t wide = (<uint64_t>mask << 32) | mask
    cdef uint64_t seen = 0
    cdef uint64_t word
    cdef uint8_t keys[8]
    cdef Py_ssize_t whole = size >> 3
    cdef Py_ssize_t i
    for i in range(whole):
        memcpy(&word, p + 8 * i, 8)
        word ^= wide
        seen |= word
        memcpy(to + 8 * i, &word, 8)
    memcpy(keys, &wide, 8)
    for i in range(8 * whole, size):
        to[i] = p[i] ^ keys[i & 7]
        seen |= to[i]
    return seen & <uint64_t>0x8080808080808080 != 0


cdef struct Utf8:
    # Of a character that is not complete: the bytes to come, and the bounds of the next.
    uint8_t missing
    uint8_t low
    uint8_t high


cdef inline bint utf8_take(Utf8* state, const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Goes on with the text; False at the first byte that no UTF-8 text can have there."""
    cdef uint64_t word
    cdef uint8_t c
    while p < end:
        if state.missing == 0:
            while end - p >= 8:
                memcpy(&word, p, 8)
                if word & <uint64_t>0x8080808080808080:
                    break
                p += 8
            if p == end:
                break
        c = p[0]
        p += 1
        if state.missing:
            if c < state.low or c > state.high:
                return False
            state.missing -= 1
            state.low = 0x80
            state.high = 0xBF
        elif c >= 0x80 and not utf8_lead(state, c):
            return False
    return True


cdef inline bint utf8_lead(Utf8* state, uint8_t c) noexcept nogil:
    """The first byte of a character: no overlong form, no surrogate, nothing past U+10FFFF."""
    if c < 0xC2 or c > 0xF4:
        return False
    state.missing = 1 if c < 0xE0 else 2 if c < 0xF0 else 3
    state.low = 0xA0 if c == 0xE0 else 0x90 if c == 0xF0 else 0x80
    state.high = 0x9F if c == 0xED else 0x8F if c == 0xF4 else 0xBF
    return True
