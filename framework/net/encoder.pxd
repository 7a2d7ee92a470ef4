from framework.http.response cimport Response


cdef class ResponseEncoder:
    cdef public dict _prefixes
    cdef public long _second
    cdef public bytes keeping
    cdef public bytes keeping_1_0
    cdef public bytes closing

    cpdef whole(self, Response response, bint head, bytes tail)
