from framework.net.core cimport Core


cdef class Link:
    cdef public object transport
    cdef public object peer
    cdef public object scheme
    cdef public Core _core
    cdef public object _writable
    cdef public bint _closing
    cdef public bint _reading
    cdef public Py_ssize_t _buffered
    cdef public Py_ssize_t _lingered
    cdef public double _read_by
    cdef public double _handle_by
    cdef public double _write_by
    cdef public double due

    cpdef _expect_bytes(self, double timeout)
