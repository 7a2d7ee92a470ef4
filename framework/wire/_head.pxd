"""What the compiled leaves know of a head in C; a compiled core may cimport it too."""

from libc.stdint cimport int64_t, uint8_t


cdef class Limits:
    cdef readonly Py_ssize_t max_head
    cdef readonly Py_ssize_t max_fields
    cdef readonly Py_ssize_t max_target


cdef class Head:
    cdef public int minor
    cdef public int64_t content_length
    cdef public bint chunked
    cdef public bint keep_alive
    cdef public bint upgrade
    cdef public bint expect_continue
    cdef public Py_ssize_t end
    cdef public str host
    cdef bytes block
    cdef bint coded
    cdef bint close_token
    cdef bint keep_token
    cdef bint upgrade_token
    cdef bint upgrade_field
    cdef int hosts

    cdef const uint8_t* scan(
        self, const uint8_t* p, const uint8_t* end, Py_ssize_t max_fields, bint request
    ) except? NULL
    cdef int note(
        self, const uint8_t* name, Py_ssize_t size, const uint8_t* value, const uint8_t* end, bint request
    ) except -1
    cdef int take_length(self, const uint8_t* p, const uint8_t* end) except -1
    cdef int take_connection(self, const uint8_t* p, const uint8_t* end) except -1
    cdef int take_codings(self, const uint8_t* p, const uint8_t* end) except -1
    cdef int settle(self, bint request) except -1


cdef object fault(str reason, int status=*)
cdef object incomplete(bint over)
cdef object out_of_range(Py_ssize_t start, Py_ssize_t size)
