from framework.net.link cimport Link


cdef class Outflow(Link):
    cdef public object _settings
    cdef public object _masks
    cdef public object deflater
    cdef public object on_end
    cdef public object reason
    cdef public object _drained
    cdef public list _out
    cdef public Py_ssize_t _out_size
    cdef public int code
    cdef public bint over
    cdef public bint plain
    cdef public bint _corked

    cpdef _flush(self)
    cpdef write_frames(self, bytes data)
