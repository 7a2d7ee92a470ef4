cimport cython


@cython.final
cdef class Ready:
    cdef public object value


@cython.final
cdef class Slot:
    cdef public double fresh_until
    cdef public long long generation
    cdef public long long number
    cdef public double opened_at
    cdef public object owner
    cdef public Ready ready
    cdef public double reported
    cdef public object request
    cdef public double retire_at
    cdef public double since
    cdef public object state
    cdef public double used_at


@cython.final
cdef class Waiter:
    cdef public double deadline
    cdef public object future
    cdef public object owner
    cdef public object request
    cdef public double since
    cdef public Slot slot
