from framework.asgi.answers cimport Head


cdef class HTTPExchange:
    cdef public bint _body_taken
    cdef public object _changes
    cdef public Head _head
    cdef public bytes _hints
    cdef public object _pieces
    cdef public bint _reading
    cdef public object _stage
    cdef public bint alone
    cdef public object error
    cdef public bint lost
    cdef public bint over
    cdef public object request
    cdef public object response
