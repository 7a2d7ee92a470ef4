cdef class Endpoint:
    cdef public object call
    cdef public object failed
    cdef public object respond
    cdef public tuple before
    cdef public tuple after
    cdef public object pattern
    cdef public object max_body
    cdef public object timeout
    cdef public bint is_async
