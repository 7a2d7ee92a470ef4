cdef class RawResponse:
    cdef public object head
    cdef public bint complete
    cdef public bint is_tunnel
    cdef public list trailers
    cdef public object _flow
    cdef public list _pieces
    cdef public Py_ssize_t _size
    cdef public object _error
    cdef public object _waiter

    cpdef received(self)
    cpdef close(self)
    cpdef Py_ssize_t feed(self, bytes data) except -1
    cpdef finish(self, list trailers=*)
    cpdef _wake(self)
