from libc.stdint cimport uint8_t

from framework.wire._head cimport Head


cdef class RequestHead(Head):
    cdef public str method
    cdef public str target
    cdef public str raw_path
    cdef public str query_string
    cdef public bint plain_path
    # For the layer above: nothing here looks at them.
    cdef public object deadline
    cdef public object endpoint
    cdef public object exchange
    cdef public object made
    cdef public object params
    cdef public object received
    cdef public object source

    cdef int take_target(self, const uint8_t* p, const uint8_t* end) except -1
    cdef const uint8_t* take_authority(self, const uint8_t* p, const uint8_t* end) except NULL
    cdef int split(self, const uint8_t* p, const uint8_t* end) except -1
