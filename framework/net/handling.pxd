from framework.net.outgoing cimport Outgoing


cdef class Handling(Outgoing):
    cdef public object _runner
    cdef public object _reason
    cdef public double _timeout
    cdef public bint _leaving
    cdef public object _on_drain
