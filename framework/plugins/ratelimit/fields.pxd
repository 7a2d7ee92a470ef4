cimport cython

from framework.plugins.ratelimit.kernel cimport Decision


cdef class OnePolicy:
    cdef tuple _constant
    cdef str _begins

    @cython.locals(ns=cython.longlong)
    cpdef of(self, Decision decision)
