from framework.net.websocket.outflow cimport Outflow


cdef class Inflow(Outflow):
    cdef public object _parser
    cdef public object receiver
    cdef public object deliver
    cdef public object _queue
    cdef public object waiter
    cdef public object _pong
    cdef public bytes _rest
    cdef public bytes _ping
    cdef public int _turns
    cdef public int _pongs
    cdef public bint _busy
    cdef public bint _deaf
    cdef public bint _holding
    cdef public bint _scheduled

    cpdef _feed(self, bytes data)
    cpdef _dispatch(self, list events)
    cpdef next(self)
    cpdef wait(self)
    cpdef _keep(self, message)
    cpdef _wake(self)
