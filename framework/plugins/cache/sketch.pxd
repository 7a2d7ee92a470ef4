cimport cython


cdef unsigned long long _spread(unsigned long long code) noexcept


cdef class FrequencySketch:
    cdef public long long _counted
    cdef public unsigned long long _mask
    cdef public long long _sample
    cdef public bytearray _table

    @cython.locals(table=bytearray, code=cython.ulonglong, one=cython.ulonglong, two=cython.ulonglong, first=int, second=int, least=int)
    cpdef increment(self, key)
    @cython.locals(table=bytearray, code=cython.ulonglong, first=int, second=int)
    cpdef int frequency(self, key) except -1
