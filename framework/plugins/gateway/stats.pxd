cdef class RouteStats:
    cdef public Py_ssize_t active
    cdef public list buckets
    cdef public long long requests
    cdef public long long retries
    cdef public double seconds
    cdef public list statuses

    cpdef count(self, Py_ssize_t status, double seconds, Py_ssize_t tries)
