cdef class Entry:
    cdef public bytes frame
    cdef public object key
    cdef public object prepared
    cdef public Py_ssize_t size


cdef class Batch:
    cdef dict _joined
    cdef dict _stops
    cdef public Py_ssize_t end
    cdef public list entries
    cdef public Py_ssize_t first
    cdef public bytes plain

    cpdef bytes whole(self, key, deflater)
    cpdef tuple part(self, key, deflater, Py_ssize_t since, list holes)
    cpdef list kept(self, Py_ssize_t since, list holes)
    cdef list _stops_of(self, key, deflater)
