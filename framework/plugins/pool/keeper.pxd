from framework.plugins.pool.core cimport Core


cdef class Keeper:
    cdef public object resource
    cdef public object settings
    cdef public object name
    cdef public Core core
    cdef public object condition
    cdef public bint must_reset
    cdef public bint knows_condition
    cdef public object loop
    cdef public object now
    cdef public dict _opens
    cdef public dict _closes
    cdef public object _timer
    cdef public double _timer_at
    cdef public list watchers

    cpdef condition_of(self, connection)
    cpdef bint is_broken(self, connection) except -1
