cimport cython


cdef class Forwarding:
    cdef bint _append
    cdef str _via

    cpdef list fields(self, request)


@cython.locals(fields=list, kept=list, pair=tuple, name=str, aliased=bint)
cpdef list request_fields(request, dropped=*)
@cython.locals(pair=tuple)
cpdef _connection(list fields)
@cython.locals(kept=list, pair=tuple)
cpdef list response_fields(list fields)
