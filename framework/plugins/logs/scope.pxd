cimport cython

from framework.http.response cimport Response
from framework.middleware.hooks cimport Hooks
from framework.wire._request cimport RequestHead


@cython.freelist(16)
cdef class _Scope:
    cdef public object request
    cdef public object token
    cdef public object made


@cython.final
cdef class LogScope(Hooks):
    cdef public Py_ssize_t _unshared

    @cython.locals(scope=_Scope)
    cpdef before(self, RequestHead request)
    @cython.locals(scope=_Scope, shares=Py_ssize_t)
    cpdef after(self, RequestHead request, Response response)
