cimport cython

from framework.plugins.cache.entry cimport Encoded, Entry, Segment
from framework.plugins.cache.sketch cimport FrequencySketch


@cython.final
cdef class MemoryStore:
    cdef public Py_ssize_t max_entries
    cdef public object max_weight
    cdef public long long weight
    cdef public long long hits
    cdef public long long misses
    cdef public long long evictions
    cdef public long long expirations
    cdef public double _found_at
    cdef public double _heaviest
    cdef public object _clock
    cdef public object _on_evicted
    cdef public object _random
    cdef public dict _entries
    cdef public Segment _window
    cdef public Segment _probation
    cdef public Segment _protected
    cdef public Py_ssize_t _max_window
    cdef public double _max_window_weight
    cdef public long long _window_weight
    cdef public Py_ssize_t _max_protected
    cdef public FrequencySketch _sketch
    cdef public list _reads
    cdef public dict _buckets
    cdef public long long _swept
    cdef public dict _tags

    @cython.locals(entry=Entry, reads=list)
    cpdef Entry find(self, key, double now)
    @cython.locals(entry=Entry)
    cpdef get(self, key, double now)
    @cython.locals(entry=Entry)
    cpdef fresh(self, key)
    @cython.locals(entry=Entry)
    cpdef undue(self, key)
    @cython.locals(reads=list, sketch=FrequencySketch, entry=Entry)
    cpdef _note_reads(self)
    @cython.locals(demoted=Entry)
    cpdef _touch(self, Entry entry)
    @cython.locals(entry=Entry, known=Entry, was_window=bint)
    cpdef put(self, key, value, double now, double expires=*, double due=*, double fresh=*, long long weight=*, tuple tags=*)
    cpdef bint delete(self, key) except -1
    cpdef _remove(self, Entry entry)
    cpdef bint _is_full(self) except -1
    @cython.locals(entry=Entry, window=Segment)
    cpdef _make_room(self)
    @cython.locals(victim=Entry)
    cpdef _evict(self, Entry candidate)
    @cython.locals(entry=Entry)
    cpdef Entry _first(self, Segment segment, Entry besides)
    @cython.locals(fresh=int, old=int)
    cpdef bint _admits(self, candidate, victim) except -1
    @cython.locals(second=cython.longlong, room=int, bucket=set, entry=Entry)
    cpdef _sweep(self, double now)
    cpdef _tell(self, Entry entry)
