from framework.wire._head cimport Head


cdef class ResponseHead(Head):
    cdef public int status
    cdef public str reason
