from framework.net.core cimport Core
from framework.net.websocket.session cimport Session


cdef class Running:
    cdef public Core _core
    cdef public Session _session
    cdef public object _socket
    cdef public object _held
    cdef public object _runner
    cdef public object _error
    cdef public bint _cancelled
