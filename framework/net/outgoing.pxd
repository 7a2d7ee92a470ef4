cimport cython

from framework.net.core cimport Core
from framework.net.encoder cimport ResponseEncoder
from framework.net.incoming cimport Incoming
from framework.wire._request cimport RequestHead


cdef class Outgoing(Incoming):
    cdef public object _after
    cdef public bint _busy

    @cython.locals(core=Core, encoder=ResponseEncoder, head=bint)
    cpdef encode(self, RequestHead request, response)
