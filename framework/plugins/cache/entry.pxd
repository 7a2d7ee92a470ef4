cimport cython


@cython.final
cdef class Encoded:
    cdef public bytes data
    cdef public object _decode

    cpdef decode(self)


@cython.final
@cython.freelist(64)
cdef class Entry:
    cdef public double due
    cdef public double expires
    cdef public Entry following
    cdef public Entry previous
    cdef public double fresh
    cdef public object key
    cdef public long long second
    cdef public int segment
    cdef public tuple tags
    cdef public object value
    cdef public long long weight


@cython.final
cdef class Segment:
    cdef public Entry _root
    cdef public Py_ssize_t size

    @cython.locals(entry=Entry)
    cpdef Entry first(self)
    @cython.locals(root=Entry, last=Entry)
    cpdef append(self, Entry entry)
    @cython.locals(before=Entry, after=Entry)
    cpdef remove(self, Entry entry)
    @cython.locals(entry=Entry)
    cpdef clear(self)
    @cython.locals(entry=Entry)
    cpdef list listed(self)
