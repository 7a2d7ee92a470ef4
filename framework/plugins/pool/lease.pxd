cimport cython

from framework.plugins.pool.core cimport Core
from framework.plugins.pool.keeper cimport Keeper
from framework.plugins.pool.slots cimport Slot


cdef class Loan:
    cdef public Keeper _keeper
    cdef public object _request
    cdef public Slot _slot
    cdef public object _timeout

    cpdef bint take(self) except -1
    @cython.locals(keeper=Keeper, core=Core, slot=Slot)
    cpdef Slot _take(self)
    @cython.locals(keeper=Keeper, core=Core)
    cpdef _put(self, Slot slot)
