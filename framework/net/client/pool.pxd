cdef class OriginPool:
    cdef public object origin
    cdef public object name
    cdef public object loop
    cdef public object wheel
    cdef public object settings
    cdef public object limits
    cdef public Py_ssize_t open
    cdef public bint is_retired
    cdef public object _shared
    cdef public dict _idle
    cdef public dict _waiting

    cpdef _take(self)
    cpdef released(self, connection)
    cpdef lost(self, connection)
    cpdef _free(self)
