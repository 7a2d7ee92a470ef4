cdef class Response:
    cdef public object fields
    cdef public object body
    cdef public object media_type
    cdef public object status


cdef class StreamingResponse(Response):
    cdef public object content
    cdef public object length
    cdef public object on_drain
    cdef public object trailers
