cdef class _Stock:
    cdef public str digits
    cdef public Py_ssize_t at


cpdef str random_id()
