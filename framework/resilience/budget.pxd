from framework.resilience.window cimport SlidingCounts


cdef class RetryBudget:
    cdef public SlidingCounts _counts
    cdef public double _floor
    cdef public double _ratio
    cdef public long long denied

    cpdef offered(self, double now)
