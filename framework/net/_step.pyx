# cython: language_level=3
"""The compiled first step of a handler. ``_pure_step.py`` is the twin, ``step.py`` says why this is sound."""

from asyncio import _enter_task, _leave_task

from framework.net import _pure_step

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef struct PyObject
    PySendResult PyIter_Send(object iter, object value, PyObject** result) except PYGEN_ERROR
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    bint PyCoro_CheckExact(object op)
    void Py_DECREF(object)

cdef object enter = _enter_task
cdef object leave = _leave_task
cdef object Suspended = _pure_step.Suspended
cdef object NOT_STARTED = _pure_step.NOT_STARTED
cdef object UNCLEAN = _pure_step.UNCLEAN
cdef object as_coroutine = _pure_step.as_coroutine


cdef class Stepper:
    """Takes first steps in one parked Task and its Context, which is to equal ``pristine`` ahead of each."""

    cdef object _loop
    cdef object _task
    cdef object _context
    cdef object _pristine

    def __init__(self, object loop, object task, object context, object pristine):
        self._loop = loop
        self._task = task
        self._context = context
        self._pristine = pristine

    def step(self, tuple hooks not None, object call, object request, bint is_async, object respond):
        """As the twin's."""
        try:
            enter(self._loop, self._task)
        except RuntimeError:
            return NOT_STARTED
        try:
            if self._context != self._pristine or self._task.cancelling():
                return UNCLEAN
            PyContext_Enter(self._context)
            try:
                return first_step(hooks, call, request, is_async, respond)
            finally:
                PyContext_Exit(self._context)
        finally:
            leave(self._loop, self._task)


cdef object first_step(tuple hooks, object call, object request, bint is_async, object respond):
    cdef PyObject* out = NULL
    cdef object value
    cdef object coro
    cdef PySendResult state
    for hook in hooks:
        value = hook(request)
        if value is not None:
            return value
    value = call(request)
    if is_async:
        coro = value if PyCoro_CheckExact(value) else as_coroutine(value)
        state = PyIter_Send(coro, None, &out)
        value = <object>out
        Py_DECREF(value)
        if state != PYGEN_RETURN:
            return Suspended(coro, value)
    return value if respond is None else respond(value)
