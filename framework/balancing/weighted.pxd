cimport cython

from framework.balancing.endpoint cimport Endpoint


cdef class WeightedDraw:
    cdef public object _random
    cdef public tuple _endpoints
    cdef public list _bounds
    cdef public Py_ssize_t _total
    cdef public Py_ssize_t count

    @cython.locals(endpoint=Endpoint, endpoints=tuple, share=double)
    cpdef draw(self, double now, avoid)
