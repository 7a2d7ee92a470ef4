cdef class Endpoint:
    cdef public object key
    cdef public Py_ssize_t weight
    cdef public Py_ssize_t priority
    cdef public Py_ssize_t active
    cdef public long long started
    cdef public long long failures
    cdef public bint available
    cdef public double _latency
    cdef public double _measured
    cdef public object _ramp
    cdef public double _since
    cdef object __weakref__

    cpdef double share(self, double now) except? -1
    cpdef measured(self, double seconds, double now, double decay)
    cpdef double latency(self, double now, double decay) except? -1
