# cython: language_level=3
"""The compiled first step of a handler: entered as a real Task, in that Task's Context, without a loop turn.

``step.py`` holds the twin and says why this is sound.
"""

from asyncio import _enter_task, _leave_task

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iter, object value, PyObject** result) except PYGEN_ERROR
    ctypedef struct PyObject
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    void Py_DECREF(object)

cdef object enter = _enter_task
cdef object leave = _leave_task


def first_step(object loop, object task, object context, object coro, object not_started):
    """Runs ``coro`` to its first suspension. Returns (True, result) or (False, what it yielded); raises what it raises."""
    cdef PyObject* out = NULL
    cdef object value
    cdef PySendResult state
    try:
        enter(loop, task)
    except RuntimeError:
        return (False, not_started)
    try:
        PyContext_Enter(context)
        try:
            state = PyIter_Send(coro, None, &out)
        finally:
            PyContext_Exit(context)
    finally:
        leave(loop, task)
    value = <object>out
    Py_DECREF(value)
    return (state == PYGEN_RETURN, value)
