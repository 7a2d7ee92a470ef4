cimport cython

from framework.balancing.endpoint cimport Endpoint as Member


cdef class Attempt:
    cdef public bint _answered
    cdef public Cluster _cluster
    cdef public bint _ended
    cdef public Member endpoint
    cdef public double started

    cpdef answered(self)
    cpdef succeeded(self)
    cpdef double _end(self) except? -1


cdef class Cluster:
    cdef public object name
    cdef public object probes
    cdef public double decay
    cdef public object clock
    cdef public object _make_policy
    cdef public object _outliers
    cdef public object _slow_start
    cdef public double _panic_part
    cdef public object _on_change
    cdef public object _random
    cdef public dict _ledgers
    cdef public list _pools
    cdef public double _next_look
    cdef public double _next_return

    @cython.locals(endpoint=Member, now=double)
    cpdef begin(self, key=*, avoid=*)
    cpdef _pick(self, now, key, avoid)
    cpdef took(self, Member endpoint, failure, double now)
