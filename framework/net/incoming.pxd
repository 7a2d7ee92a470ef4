cimport cython

from framework.net.core cimport Core
from framework.net.link cimport Link
from framework.wire._request cimport RequestHead


cdef class Incoming(Link):
    cdef public object _body
    cdef public bint _expecting
    cdef public Py_ssize_t _progress

    @cython.locals(core=Core, length=Py_ssize_t)
    cpdef Py_ssize_t _take_body(self, exchange, RequestHead request, bytes data, Py_ssize_t position) except -1
