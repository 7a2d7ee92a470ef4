cimport cython

from framework.channels.cork cimport Cork
from framework.channels.entry cimport Batch, Entry
from framework.channels.subscription cimport Seat, Subscription


cdef class Fanout:
    cdef list _order
    cdef Batch _part
    cdef public Batch batch
    cdef public Cork cork
    cdef public object counters
    cdef public list listeners
    cdef public Py_ssize_t sequence
    cdef public dict subscriptions
    cdef public list turn

    cpdef post(self, Entry entry, exclude)
    @cython.locals(
        batch=Batch,
        subscription=Subscription,
        seat=Seat,
        count=Py_ssize_t,
        delivered=Py_ssize_t,
        entries=list,
        order=list,
        plain=bytes,
        data=bytes,
    )
    cpdef flush(self, Py_ssize_t number, bint direct)
    @cython.locals(seat=Seat)
    cpdef serve(self, Subscription subscription, Batch batch, bint direct)
