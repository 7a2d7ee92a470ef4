cimport cython

from framework.http.endpoint cimport Endpoint
from framework.http.response cimport Response
from framework.net.core cimport Core
from framework.net.finishing cimport Finishing
from framework.net.runner cimport Runners
from framework.wire._request cimport RequestHead


cdef class Connection(Finishing):
    cdef public bint _heading
    cdef public bint _eof

    @cython.locals(core=Core, request=RequestHead, position=Py_ssize_t, size=Py_ssize_t, turns=int, held=Py_ssize_t)
    cpdef _serve(self, bytes data)
    cpdef _flush(self, bytes output, list more)
    @cython.locals(core=Core, runners=Runners, endpoint=Endpoint)
    cpdef _begin(self, RequestHead request)
