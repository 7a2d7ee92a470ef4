from framework.net.websocket.receiver cimport Running
from framework.net.websocket.session cimport Session


cdef class Conversation(Running):
    cdef public object _handler
    cdef public Waiting _waiting

    cpdef arrived(self)


cdef class Waiting:
    cdef public object _loop
    cdef public Session _session
    cdef public object _coro
    cdef public object _yielded
    cdef public object _interrupt
    cdef public object _step
    cdef public object _park
    cdef public object _error

    cpdef step(self)
