cdef class Hooks:
    cdef dict __dict__
