cdef class SlidingCounts:
    cdef public list _buckets
    cdef public object _newest
    cdef public list _sums
    cdef public double _width

    cpdef add(self, Py_ssize_t which, double now, Py_ssize_t amount=*)
    cpdef _slide(self, double now)
