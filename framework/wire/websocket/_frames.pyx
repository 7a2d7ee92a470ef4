# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, nonecheck=False
# cython: auto_pickle=False
"""The compiled leaf that reads frames (RFC 6455 section 5). ``_pure_frames.py`` is the twin.

A whole message in the bytes at hand is unmasked straight into its str or bytes; what comes in parts is unmasked
into a buffer that grows as they come, so that a length that was only declared costs nothing.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from framework.wire.websocket._bytes cimport turned, utf8_take, xor_copy

from framework.wire.websocket.events import Ping, Pong, WebSocketError, read_close

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void* PyUnicode_DATA(object text)

TWIN = "compiled"


cdef object fault(str reason, int code=1002):
    raise WebSocketError(reason, code)


cdef class FrameParser:
    """Takes the bytes of one direction of a connection in any pieces; the time is linear in their number.

    Args:
        side: who reads: a "server" reads masked frames, a "client" unmasked ones.
        max_frame: bytes of payload in a frame.
        max_message: bytes in a message, all its fragments together, inflated.
        max_fragments: frames in a message.
        text: whether text messages are taken; else their first head is answered by 1003.
        binary: whether binary messages are taken.
        inflater: where permessage-deflate was agreed: see ``framework.wire.websocket.deflate``.

    ``ended`` is true after a close frame or a fault. Raises ValueError where an argument makes no sense.
    """

    def __init__(
        self,
        str side not None="server",
        *,
        Py_ssize_t max_frame=1048576,
        Py_ssize_t max_message=1048576,
        Py_ssize_t max_fragments=65536,
        bint text=True,
        bint binary=True,
        inflater=None,
    ):
        if side != "server" and side != "client":
            raise ValueError("the side is server or client")
        for limit in (max_frame, max_message, max_fragments):
            if not 0 < limit < 2**62:
                raise ValueError("a limit is positive and less than 2**62")
        self.masked = side == "server"
        self.max_frame = max_frame
        self.max_message = max_message
        self.max_fragments = max_fragments
        self.text = text
        self.binary = binary
        self.inflater = inflater

    def __cinit__(self):
        self.step = frames

    def __dealloc__(self):
        PyMem_Free(self.message.data)
        PyMem_Free(self.piece.data)

    def feed(self, bytes data not None):
        """Returns what became complete: a str or bytes is a message, the rest is Ping, Pong or Close.

        Raises WebSocketError with the close code, at the first byte that shows the fault; its ``events`` are what
        came before. After that, or a Close, nothing more is read and the list is always empty.
        """
        cdef list events = []
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef const uint8_t* end = p + PyBytes_GET_SIZE(data)
        try:
            while p < end:
                p = self.step(self, p, end, events)
        except BaseException as error:
            self.stop()
            if isinstance(error, WebSocketError):
                error.events = events
            raise
        return events

    cdef Py_ssize_t read_head(self, const uint8_t* p, Py_ssize_t size) except -1:
        """The size of the head at ``p``, 0 while it is incomplete; nothing is noted before it is complete."""
        cdef Py_ssize_t used = 2
        cdef int64_t length
        cdef int i
        if size < 2:
            return 0
        self.check_head(p[0], p[1])
        length = p[1] & 0x7F
        if length == 126:
            used = 4
            if size < used:
                return 0
            length = (p[2] << 8) | p[3]
            if length < 126:
                fault("a length that is not minimal")
        elif length == 127:
            used = 10
            if size < used:
                return 0
            length = p[2] & 0x7F
            for i in range(3, 10):
                length = (length << 8) | p[i]
            if p[2] & 0x80 or length < 65536:
                fault("a length that is not minimal")
        self.check_length(p[0], length)
        if self.masked:
            used += 4
            if size < used:
                return 0
            memcpy(&self.mask, p + used - 4, 4)
        self.first = p[0]
        self.length = length
        if p[0] & 8 == 0:
            self.fragments += 1
            if p[0] & 15:
                self.kind = p[0] & 15
                self.compressed = p[0] & 0x40 != 0
        return used

    cdef int check_head(self, uint8_t first, uint8_t second) except -1:
        cdef uint8_t opcode = first & 15
        if first & 0x30 or (first & 0x40 and (self.inflater is None or opcode == 0 or opcode & 8)):
            fault("a reserved bit is set")
        if opcode & 7 > 2:
            fault("an unknown opcode")
        if opcode & 8:
            if not first & 0x80:
                fault("a control frame in fragments")
            if second & 0x7F > 125:
                fault("a control frame is too long")
        elif opcode == 0:
            if self.kind == 0:
                fault("a continuation of nothing")
        elif self.kind:
            fault("a new message before the end of the last")
        elif not (self.text if opcode == 1 else self.binary):
            fault("a kind of message that is not taken here", 1003)
        if (second & 0x80 != 0) != self.masked:
            fault("a client's frame without a mask" if self.masked else "a server's frame with a mask")
        return 0

    cdef int check_length(self, uint8_t first, int64_t length) except -1:
        """Of a data frame; a compressed one may be larger, as far as deflate makes bytes longer."""
        if first & 8:
            return 0
        if (first & 0x40) or (first & 15 == 0 and self.compressed):
            if length > self.max_frame + (self.max_frame >> 3) + 64:
                fault("the frame is too large", 1009)
        elif length > self.max_frame:
            fault("the frame is too large", 1009)
        elif length > self.max_message - self.message.size:
            fault("the message is too large", 1009)
        if self.fragments == self.max_fragments:
            fault("a message in too many fragments", 1009)
        return 0

    cdef int whole_frame(self, const uint8_t* p, list events) except -1:
        cdef bytes payload
        if self.first & 8:
            return self.control(unmasked(p, self.length, self.mask), events)
        if self.compressed:
            return self.inflate(unmasked(p, self.length, self.mask), events)
        if self.fragments == 1 and self.first & 0x80:
            if self.kind == 1:
                events.append(unmasked_text(p, self.length, self.mask))
            else:
                events.append(unmasked(p, self.length, self.mask))
            return self.between()
        self.take(p, self.length, self.mask)
        if self.first & 0x80:
            self.end_message(events)
        return 0

    cdef int end_frame(self, list events) except -1:
        """Of a frame that came in parts."""
        cdef bytes payload
        if self.first & 8 or self.compressed:
            payload = contents(&self.piece)
            if self.first & 8:
                return self.control(payload, events)
            return self.inflate(payload, events)
        if self.first & 0x80:
            self.end_message(events)
        return 0

    cdef int control(self, bytes payload, list events) except -1:
        cdef uint8_t opcode = self.first & 15
        if opcode == 8:
            events.append(read_close(payload))
            self.stop()
        else:
            events.append(Ping(payload) if opcode == 9 else Pong(payload))
        return 0

    cdef int inflate(self, bytes payload, list events) except -1:
        cdef bint final = self.first & 0x80 != 0
        cdef bytes data = self.inflater.inflate(
            payload, self.fragments == 1, final, self.max_message - self.message.size
        )
        cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(data)
        if final and self.fragments == 1:
            events.append(decoded(p, PyBytes_GET_SIZE(data)) if self.kind == 1 else data)
            return self.between()
        self.take(p, PyBytes_GET_SIZE(data), 0)
        if final:
            self.end_message(events)
        return 0

    cdef int take(self, const uint8_t* p, Py_ssize_t size, uint32_t mask) except -1:
        """More of the message; its text is checked as it comes."""
        cdef uint8_t* at = room(&self.message, size)
        xor_copy(at, p, size, mask)
        self.message.size += size
        if self.kind == 1 and not utf8_take(&self.utf8, at, at + size):
            fault("text that is not UTF-8", 1007)
        return 0

    cdef int end_message(self, list events) except -1:
        if self.kind == 1:
            if self.utf8.missing:
                fault("text that is not UTF-8", 1007)
            events.append(PyUnicode_DecodeUTF8(<const char*>self.message.data, self.message.size, NULL))
            empty(&self.message)
        else:
            events.append(contents(&self.message))
        return self.between()

    cdef int between(self) except -1:
        self.kind = 0
        self.fragments = 0
        self.compressed = False
        return 0

    cdef int stop(self) except -1:
        self.step = ended
        self.ended = True
        self.inflater = None
        empty(&self.message)
        empty(&self.piece)
        return 0


# Each state takes bytes, at least one, and returns the first it left.


cdef const uint8_t* frames(FrameParser self, const uint8_t* p, const uint8_t* end, list events) except NULL:
    """Frames, as long as whole ones are there."""
    cdef Py_ssize_t used
    while p < end:
        used = self.read_head(p, end - p)
        if used == 0:
            self.held = 0
            self.step = head
            return p
        p += used
        if end - p < self.length:
            self.missing = self.length
            self.step = payload
            return p
        self.whole_frame(p, events)
        if self.ended:
            return end
        p += self.length
    return p


cdef const uint8_t* head(FrameParser self, const uint8_t* p, const uint8_t* end, list events) except NULL:
    """A head in parts."""
    while p < end:
        self.head[self.held] = p[0]
        self.held += 1
        p += 1
        if self.read_head(self.head, self.held):
            self.missing = self.length
            self.step = payload
            if self.length == 0:
                return payload(self, p, end, events)
            return p
    return p


cdef const uint8_t* payload(FrameParser self, const uint8_t* p, const uint8_t* end, list events) except NULL:
    """A payload in parts."""
    cdef Py_ssize_t size = min(end - p, self.missing)
    cdef uint32_t mask = turned(self.mask, self.length - self.missing)
    if self.first & 8 or self.compressed:
        xor_copy(room(&self.piece, size), p, size, mask)
        self.piece.size += size
    else:
        self.take(p, size, mask)
    self.missing -= size
    if self.missing == 0:
        self.step = frames
        self.end_frame(events)
    return p + size


cdef const uint8_t* ended(FrameParser self, const uint8_t* p, const uint8_t* end, list events) except NULL:
    return end


cdef bytes unmasked(const uint8_t* p, Py_ssize_t size, uint32_t mask):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    xor_copy(<uint8_t*>PyBytes_AS_STRING(out), p, size, mask)
    return out


cdef object unmasked_text(const uint8_t* p, Py_ssize_t size, uint32_t mask):
    """Unmasked into the place of an ASCII text, which it mostly is; else decoded from there."""
    if size == 0:
        return ""
    cdef object out = PyUnicode_New(size, 127)
    cdef uint8_t* data = <uint8_t*>PyUnicode_DATA(out)
    return decoded(data, size) if xor_copy(data, p, size, mask) else out


cdef object decoded(const uint8_t* p, Py_ssize_t size):
    try:
        return PyUnicode_DecodeUTF8(<const char*>p, size, NULL)
    except UnicodeDecodeError:
        raise WebSocketError("text that is not UTF-8", 1007) from None


cdef uint8_t* room(Buffer* buffer, Py_ssize_t size) except NULL:
    """Where the next ``size`` bytes go."""
    cdef Py_ssize_t needed = buffer.size + size
    cdef void* data
    if needed >= buffer.capacity:
        needed = max(needed, 2 * buffer.capacity, 64)
        data = PyMem_Realloc(buffer.data, needed)
        if data == NULL:
            raise MemoryError
        buffer.data = <uint8_t*>data
        buffer.capacity = needed
    return buffer.data + buffer.size


cdef bytes contents(Buffer* buffer):
    cdef bytes out = PyBytes_FromStringAndSize(<const char*>buffer.data, buffer.size)
    empty(buffer)
    return out


cdef int empty(Buffer* buffer) except -1:
    """Gives the memory back: an idle connection holds none."""
    PyMem_Free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0
    return 0
