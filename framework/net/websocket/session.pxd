from framework.net.websocket.inflow cimport Inflow


cdef class Session(Inflow):
    cdef public object _ended
    cdef public Py_ssize_t _progress
    cdef public bint _server
