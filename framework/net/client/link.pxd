cdef class ClientLink:
    cdef public object transport
    cdef public double born
    cdef public double due
    cdef public Py_ssize_t exchanges
    cdef public object _holder
    cdef public object _loop
    cdef public object _wheel
    cdef public object _request
    cdef public object _timeouts
    cdef public object _waiter
    cdef public object _response
    cdef public object _decoder
    cdef public object _sender
    cdef public object _going
    cdef public object _writable
    cdef public bytes _held
    cdef public Py_ssize_t _left
    cdef public Py_ssize_t _heard
    cdef public Py_ssize_t _buffered
    cdef public double _began
    cdef public double _by
    cdef public double _read_by
    cdef public double _write_by
    cdef public double _idle_timeout
    cdef public double _max_age
    cdef public bint _adopted
    cdef public bint _gone
    cdef public bint _paused

    cpdef _clear(self)
    cpdef _await_head(self)
    cpdef _watch(self, double due)
    cpdef body_taken(self)
    cpdef body_wanted(self)
