cimport cython


cdef class Counts:
    cdef public long long admitted
    cdef public long long refused
    cdef public long long near
    cdef public long long shadowed


@cython.freelist(64)
cdef class Decision:
    cdef public object policy
    cdef public bint allowed
    cdef public long long quota
    cdef public long long remaining
    cdef public long long retry_ns
    cdef public long long reset_ns
    cdef public tuple parts
    cdef public str source


cdef class Table:
    cdef public dict cold
    cdef public dict hot
    cdef public Counts counts
    cdef public long long evicted
    cdef public Py_ssize_t max_keys
    cdef public long long near_left
    cdef public object policy
    cdef public bint shadow
    cdef public object terms

    cpdef Decision decide(self, key, long long cost, long long now, int mode)
    cpdef long long owes(self, state, long long now) except? -1
    cpdef tally(self, Decision decision)
    cpdef heat(self, key, state, long long now)
    cpdef make_room(self, long long now)


cdef class GcraTable(Table):
    cdef public long long ahead
    cdef public long long interval
    cdef public long long limit
    cdef public long long quota

    @cython.locals(part=dict, interval=cython.longlong, limit=cython.longlong, debt=cython.longlong, after=cython.longlong, left=cython.longlong)
    cpdef Decision decide(self, key, long long cost, long long now, int mode)
    @cython.locals(owed=cython.longlong)
    cpdef long long owes(self, state, long long now) except? -1


cdef class MemoryGate:
    cdef public tuple tables
    cdef object _clock
    cdef Table _only

    @cython.locals(only=Table, decision=Decision)
    cpdef Decision consume(self, key, long long cost=*)
