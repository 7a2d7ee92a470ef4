cimport cython

from framework.net.client.incoming cimport RawResponse
from framework.net.client.link cimport ClientLink
from framework.wire._response cimport ResponseHead as WireHead


cdef class ClientConnection(ClientLink):
    @cython.locals(head=WireHead, at=Py_ssize_t)
    cpdef _read_head(self, bytes data)
    @cython.locals(response=RawResponse, end=Py_ssize_t, tunnel=bint)
    cpdef _begin_body(self, WireHead head, bytes data, Py_ssize_t at)
    cpdef _deliver(self, waiter, RawResponse response)
    @cython.locals(left=Py_ssize_t, size=Py_ssize_t)
    cpdef _read_body(self, RawResponse response, bytes data)
    cpdef _finish(self, WireHead head, bint excess)
