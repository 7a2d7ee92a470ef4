cdef class ClientBody:
    cdef public object _request
    cdef public bint began
    cdef public object kept
    cdef public object length


cpdef ClientBody received_body(request)
