from framework.net.link cimport Link


cdef class Incoming(Link):
    cdef public object _body
    cdef public bint _expecting
    cdef public Py_ssize_t _progress
