cdef class Runner:
    cdef public object _job
    cdef public object _owner
    cdef public object _wake
    cdef public object context
    cdef public object step
    cdef public object task


cdef class Runners:
    cdef public object _idle
    cdef public Py_ssize_t _max_active
    cdef public Py_ssize_t _max_idle
    cdef public object active
    cdef public object context
    cdef public bint full
    cdef public object lent
    cdef public object loop
    cdef public object on_error
    cdef public Runner spare
