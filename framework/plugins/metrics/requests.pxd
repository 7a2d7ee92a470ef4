cimport cython

from framework.http.endpoint cimport Endpoint
from framework.http.response cimport Response
from framework.middleware.hooks cimport Hooks
from framework.wire._request cimport RequestHead


cdef class _Answers:
    cdef public list buckets
    cdef public double seconds
    cdef public long long received
    cdef public long long sent


cdef class _Requests:
    cdef public object method
    cdef public object route
    cdef public long long begun
    cdef public long long streams
    cdef public dict answers


@cython.final
cdef class RequestMetrics(Hooks):
    cdef public tuple _bounds
    cdef public double _lowest
    cdef public list _names
    cdef public object _methods
    cdef public dict _routes
    cdef public object _newest
    cdef public _Requests _newest_of
    cdef public double _newest_at

    @cython.locals(endpoint=Endpoint, methods=dict, requests=_Requests)
    cpdef before(self, RequestHead request)
    @cython.locals(requests=_Requests, answers=_Answers, seconds=double)
    cpdef after(self, RequestHead request, Response response)
    @cython.locals(answers=_Answers, buckets=list, received=bytes, place=Py_ssize_t)
    cpdef _Answers count(self, RequestHead request, _Requests requests, object status, double seconds)
