cdef class InlineCall:
    cdef object _app
    cdef object _begin
    cdef object _runners
