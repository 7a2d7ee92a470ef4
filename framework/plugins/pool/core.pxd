cimport cython

from framework.plugins.pool.slots cimport Slot, Waiter


@cython.final
cdef class Core:
    cdef public object _settings
    cdef public object _jitter
    cdef public double _leak_after
    cdef public Py_ssize_t min_size
    cdef public Py_ssize_t max_size
    cdef public double check_after
    cdef public dict slots
    cdef public list idle
    cdef public object waiters
    cdef public object _waiting
    cdef public long long _numbers
    cdef public bint lending
    cdef public bint is_closed
    cdef public bint surplus
    cdef public long long generation
    cdef public Py_ssize_t opening
    cdef public Py_ssize_t lent
    cdef public Py_ssize_t closing
    cdef public object hold
    cdef public object connect
    cdef public object backoff
    cdef public long long acquired
    cdef public object counts
    cdef public list actions
    cdef public double wake

    @cython.locals(slot=Slot, idle=list)
    cpdef Slot take(self, double now)
    @cython.locals(slot=Slot)
    cpdef Slot pick(self, double now)
    @cython.locals(fresh_until=double)
    cpdef put(self, Slot slot, double now)
    cpdef _lend(self, Slot slot, double now)
    @cython.locals(slot=Slot, waiter=Waiter)
    cpdef _serve(self, double now)
    cpdef _settle(self, Slot slot, double now)
    cpdef _grow(self, double now)
