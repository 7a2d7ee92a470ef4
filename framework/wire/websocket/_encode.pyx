# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
"""The compiled leaf that writes frames: one allocation each, or for a batch. ``_pure_encode.py`` is the twin."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from framework.wire.websocket._bytes cimport xor_copy

from framework.errors import LocalProtocolError

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII "PyUnicode_IS_ASCII"(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void* PyUnicode_DATA(object text)


cdef object fault(str reason):
    raise LocalProtocolError(reason)


def apply_mask(bytes data not None, bytes mask not None):
    """``data`` masked by the four bytes of ``mask``, or unmasked: it is the same (RFC 6455 section 5.3).

    Raises LocalProtocolError unless the mask has four bytes.
    """
    cdef uint32_t key
    cdef bytes out
    check_mask(mask)
    memcpy(&key, PyBytes_AS_STRING(mask), 4)
    out = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(data))
    xor_copy(<uint8_t*>PyBytes_AS_STRING(out), start_of(data), PyBytes_GET_SIZE(data), key)
    return out


def encode_frame(int opcode, bytes payload not None, *, bint fin=True, bytes mask=None, bint rsv1=False):
    """One frame. ``mask`` is None on the server side, four random bytes on the client side.

    Raises LocalProtocolError for an opcode that is not defined, a control frame that is too long, in fragments
    or compressed, or a mask of another size.
    """
    if not 0 <= opcode <= 10 or opcode & 7 > 2:
        fault("an unknown opcode")
    if opcode >= 8 and (PyBytes_GET_SIZE(payload) > 125 or not fin or rsv1):
        fault("a control frame is short, whole and not compressed")
    return framed((0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode, start_of(payload), PyBytes_GET_SIZE(payload), mask)


def encode_text(str text not None, bytes mask=None):
    """A text message in one frame. Raises LocalProtocolError for a lone surrogate, and as encode_frame does."""
    cdef bytes encoded
    if PyUnicode_IS_ASCII(text):
        return framed(0x81, <const uint8_t*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), mask)
    encoded = utf8(text)
    return framed(0x81, start_of(encoded), PyBytes_GET_SIZE(encoded), mask)


def encode_binary(bytes data not None, bytes mask=None):
    """A binary message in one frame. Raises LocalProtocolError as encode_frame does."""
    return framed(0x82, start_of(data), PyBytes_GET_SIZE(data), mask)


def encode_batch(list messages not None, bytes masks=None):
    """Text (str) and binary (bytes) messages, a frame each, all in one buffer for one write.

    ``masks`` is None on the server side, on the client side four random bytes for each message.
    Raises LocalProtocolError as encode_text does, TypeError for anything else than str and bytes.
    """
    cdef Py_ssize_t count = PyList_GET_SIZE(messages)
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t i
    cdef bint masked = masks is not None
    cdef bytes out
    cdef object message
    cdef list others = None
    cdef uint8_t* to
    cdef uint32_t key = 0
    if masked and PyBytes_GET_SIZE(masks) != 4 * count:
        fault("a mask has four bytes")
    for i in range(count):
        message = <object>PyList_GET_ITEM(messages, i)
        if type(message) is str and PyUnicode_IS_ASCII(message):
            size += whole_size(PyUnicode_GET_LENGTH(message), masked)
        elif type(message) is bytes:
            size += whole_size(PyBytes_GET_SIZE(<bytes>message), masked)
        else:
            # Of what is not ASCII the UTF-8 is made once, and held until it is written.
            if not isinstance(message, str):
                raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
            if others is None:
                others = [None] * count
            others[i] = utf8(message)
            size += whole_size(PyBytes_GET_SIZE(<bytes>others[i]), masked)
    out = PyBytes_FromStringAndSize(NULL, size)
    to = <uint8_t*>PyBytes_AS_STRING(out)
    for i in range(count):
        message = <object>PyList_GET_ITEM(messages, i)
        if masked:
            memcpy(&key, PyBytes_AS_STRING(masks) + 4 * i, 4)
        if type(message) is bytes:
            to = put(to, 0x82, start_of(<bytes>message), PyBytes_GET_SIZE(<bytes>message), masked, key)
        elif others is not None and others[i] is not None:
            to = put(to, 0x81, start_of(<bytes>others[i]), PyBytes_GET_SIZE(<bytes>others[i]), masked, key)
        else:
            to = put(to, 0x81, <const uint8_t*>PyUnicode_DATA(message), PyUnicode_GET_LENGTH(message), masked, key)
    return out


cdef bytes framed(uint8_t first, const uint8_t* payload, Py_ssize_t size, bytes mask):
    cdef uint32_t key = 0
    cdef bytes out
    if mask is not None:
        check_mask(mask)
        memcpy(&key, PyBytes_AS_STRING(mask), 4)
    out = PyBytes_FromStringAndSize(NULL, whole_size(size, mask is not None))
    put(<uint8_t*>PyBytes_AS_STRING(out), first, payload, size, mask is not None, key)
    return out


cdef int check_mask(bytes mask) except -1:
    if PyBytes_GET_SIZE(mask) != 4:
        fault("a mask has four bytes")
    return 0


cdef inline const uint8_t* start_of(bytes data) noexcept:
    return <const uint8_t*>PyBytes_AS_STRING(data)


cdef bytes utf8(str text):
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("a text with a lone surrogate") from None


cdef inline Py_ssize_t whole_size(Py_ssize_t size, bint masked) noexcept nogil:
    return size + (2 if size < 126 else 4 if size < 65536 else 10) + (4 if masked else 0)


cdef inline uint8_t* put(
    uint8_t* to, uint8_t first, const uint8_t* payload, Py_ssize_t size, bint masked, uint32_t key
) noexcept nogil:
    cdef uint8_t bit = 0x80 if masked else 0
    cdef int i
    to[0] = first
    if size < 126:
        to[1] = bit | <uint8_t>size
        to += 2
    elif size < 65536:
        to[1] = bit | 126
        to[2] = <uint8_t>(size >> 8)
        to[3] = <uint8_t>size
        to += 4
    else:
        to[1] = bit | 127
        for i in range(8):
            to[2 + i] = <uint8_t>(<unsigned long long>size >> (56 - 8 * i))
        to += 10
    if masked:
        memcpy(to, &key, 4)
        to += 4
        xor_copy(to, payload, size, key)
    else:
        memcpy(to, payload, size)
    return to + size
