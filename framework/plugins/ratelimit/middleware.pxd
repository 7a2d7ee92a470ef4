cimport cython

from framework.http.endpoint cimport Endpoint
from framework.http.response cimport Response
from framework.middleware.hooks cimport Hooks
from framework.plugins.ratelimit.kernel cimport Decision, MemoryGate
from framework.wire._request cimport RequestHead


cdef class Rule:
    cdef public object key
    cdef public object policy
    cdef public object routes


cdef class Plan:
    cdef public object limiter
    cdef public object consume
    cdef public tuple keys
    cdef public object only
    cdef public object cost
    cdef public object fields


cdef class _Limits(Hooks):
    cdef public tuple _rules
    cdef public object _limiter_of
    cdef public object _cost
    cdef public object _style
    cdef public tuple _skip
    cdef public dict _plans
    cdef public dict _limiters
    cdef public object _state

    cpdef note(self, RequestHead request, Decision decision)
    @cython.locals(decision=Decision, plan=Plan, endpoint=Endpoint)
    cpdef after(self, RequestHead request, Response response)


cdef class LimitHooks(_Limits):
    @cython.locals(decision=Decision, plan=Plan, endpoint=Endpoint)
    cpdef before(self, RequestHead request)
