from framework.net.encoder cimport ResponseEncoder
from framework.net.runner cimport Runners


cdef class Core:
    cdef public object background
    cdef public object connections
    cdef public bint draining
    cdef public ResponseEncoder encoder
    cdef public object find
    cdef public double idle_by
    cdef public object limits
    cdef public object log
    cdef public object loop
    cdef public object on_empty
    cdef public object proxies
    cdef public object refused
    cdef public object render
    cdef public Runners runners
    cdef public object settings
    cdef public object turned_away
    cdef public int turns
    cdef public Py_ssize_t websockets
    cdef public object wheel
