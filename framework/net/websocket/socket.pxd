from framework.net.websocket.session cimport Session


cdef class Socket:
    cdef public Session _session
    cdef public object _callbacks
    cdef public object subprotocol

    cpdef write_text(self, str text)
    cpdef write_bytes(self, bytes data)
