cimport cython

from framework.http.response cimport Response


@cython.final
cdef class Head:
    cdef public list fields
    cdef public object length
    cdef public object media_type
    cdef public object status
    cdef public list trailers

    cpdef _add(self, bytes name, bytes value)
    @cython.locals(response=Response)
    cpdef whole(self, bytes body, str method)
    cpdef _tell(self, Response response)
