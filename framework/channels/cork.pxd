cdef class Cork:
    cdef list _dirty
    cdef object _handle
    cdef object _loop
    cdef dict _merged
    cdef public bint flushing
    cdef public list gathered
    cdef public Py_ssize_t max_bytes
    cdef public Py_ssize_t number
    cdef public Py_ssize_t queued

    cpdef open(self, channel)
    cpdef count(self, Py_ssize_t size)
    cpdef flush(self)
    cpdef bytes merge(self, bytes one, bytes other)
