# cython: language_level=3
"""The compiled first step of a handler. ``step.py`` holds the twin and says why this is sound."""

from asyncio import _enter_task, _leave_task

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef struct PyObject
    PySendResult PyIter_Send(object iter, object value, PyObject** result) except PYGEN_ERROR
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    void Py_DECREF(object)

cdef object enter = _enter_task
cdef object leave = _leave_task
cdef object SUSPENDED = 0
cdef object DONE = 1
cdef object STAINED = 2
cdef object REFUSED = 3


cdef class Stepper:
    """Takes first steps in one parked Task and its Context."""

    cdef object _loop
    cdef object _task
    cdef object _context
    cdef object _pristine

    def __init__(self, object loop, object task, object context, object pristine):
        self._loop = loop
        self._task = task
        self._context = context
        self._pristine = pristine

    def step(self, object coro):
        cdef PyObject* out = NULL
        cdef object value
        cdef PySendResult state
        try:
            enter(self._loop, self._task)
        except RuntimeError:
            return (REFUSED, None)
        try:
            PyContext_Enter(self._context)
            try:
                state = PyIter_Send(coro, None, &out)
            finally:
                PyContext_Exit(self._context)
        finally:
            leave(self._loop, self._task)
        value = <object>out
        Py_DECREF(value)
        if state == PYGEN_NEXT:
            return (SUSPENDED, value)
        if self._context != self._pristine or self._task.cancelling():
            return (STAINED, value)
        return (DONE, value)
