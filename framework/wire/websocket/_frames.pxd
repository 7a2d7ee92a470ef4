"""What the compiled leaf knows of a connection's frames in C; a compiled core may cimport it too."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from framework.wire.websocket._bytes cimport Utf8


cdef struct Buffer:
    uint8_t* data
    Py_ssize_t size
    Py_ssize_t capacity


cdef class FrameParser


ctypedef const uint8_t* (*Step)(FrameParser, const uint8_t*, const uint8_t*, list) except NULL


cdef class FrameParser:
    cdef readonly Py_ssize_t max_frame
    cdef readonly Py_ssize_t max_message
    cdef readonly Py_ssize_t max_fragments
    cdef readonly bint ended
    cdef bint masked
    cdef bint text
    cdef bint binary
    cdef object inflater
    cdef Step step
    cdef uint8_t head[14]
    cdef uint8_t held
    # The frame.
    cdef uint8_t first
    cdef uint32_t mask
    cdef int64_t length
    cdef Py_ssize_t missing
    # The message; kind is 0 between two.
    cdef uint8_t kind
    cdef bint compressed
    cdef Utf8 utf8
    cdef Py_ssize_t fragments
    cdef Buffer message
    cdef Buffer piece

    cdef Py_ssize_t read_head(self, const uint8_t* p, Py_ssize_t size) except -1
    cdef int check_head(self, uint8_t first, uint8_t second) except -1
    cdef int check_length(self, uint8_t first, int64_t length) except -1
    cdef int whole_frame(self, const uint8_t* p, list events) except -1
    cdef int end_frame(self, list events) except -1
    cdef int control(self, bytes payload, list events) except -1
    cdef int inflate(self, bytes payload, list events) except -1
    cdef int take(self, const uint8_t* p, Py_ssize_t size, uint32_t mask) except -1
    cdef int end_message(self, list events) except -1
    cdef int stop(self) except -1
    cdef int between(self) except -1
