from framework.net.handling cimport Handling


cdef class Finishing(Handling):
    cdef public bytes _pending
    cdef public object _upgrade
