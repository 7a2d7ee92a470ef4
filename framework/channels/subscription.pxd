cimport cython

from framework.channels.cork cimport Cork
from framework.channels.entry cimport Entry


cdef class Subscription:
    cdef object _context
    cdef bint _told
    cdef public bint active
    cdef public object backlog
    cdef public Py_ssize_t high
    cdef public list holes
    cdef public bint lost
    cdef public Py_ssize_t missed
    cdef public object policy
    cdef public Seat seat
    cdef public Py_ssize_t seen
    cdef public Py_ssize_t since
    cdef public object source
    cdef public bint special
    cdef public Py_ssize_t until

    cpdef exclude(self, Py_ssize_t number)
    cpdef pass_by(self, Py_ssize_t end)
    cpdef hold(self, list entries)


cdef class Seat:
    cdef Cork _cork
    cdef dict _registry
    cdef Py_ssize_t _room
    cdef public bint alone
    cdef public object deflater
    cdef public bint gone
    cdef public object key
    cdef public bint lagging
    cdef public object member
    cdef public bytes pending
    cdef public list subscriptions
    cdef public bint waiting
    cdef public object write

    cpdef send(self, bytes data, bint direct)
    cpdef write_pending(self)
    @cython.locals(subscription=Subscription)
    cpdef lag(self)
