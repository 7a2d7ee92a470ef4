"""A file of slots that several processes map: the states of one policy's keys. Whoever is killed in the middle of a
change leaves it as it was before, or as it was to be.

A key's hash (BLAKE2b, 128 bits: Python's own differs between processes) chooses a set of eight slots. Each slot is a
row of 64-bit words::

    hash, hash, which, [state 0], [state 1]

``which`` is 0 for an empty slot, else tells which of the two states holds. A change writes the other state first and
then ``which``, which is one store of an aligned word. A new key empties the slot, writes the hash and a state, and
fills it.

Each set belongs to one of 256 byte-range locks of the open file, which the kernel gives back when the process ends,
however it ends. They are taken without waiting, again and again for at most ``patience``: a worker that was stopped
while it held one (SIGSTOP, a debugger) does not stop the others.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from time import monotonic_ns
from typing import Final

from framework.errors import ResourceError
from framework.plugins.ratelimit.engine import EngineUnavailable

__all__ = ["WAYS", "Slot", "SlotFile"]

WAYS: Final = 8
_STRIPES: Final = 256
_HEADER: Final = 8
_VERSION: Final = 0x46_57_4C_49_4D_49_54_01
_words = struct.Struct("<qq").unpack

# Locks of the open file, not of the process (fcntl_locking(2)): two engines of one process exclude each other too, and
# closing one descriptor does not drop the locks of another. Where the system has none, those of the process must do.
_OFD: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_FLOCK: Final = struct.Struct("@hhqqi4x")


class Slot:
    """A slot of a key. ``known``: it has that key; otherwise it is the one to take for it."""

    __slots__ = ("known", "offset", "state")

    def __init__(self, offset: int, known: bool, state: Sequence[int]) -> None:
        self.offset = offset
        self.known = known
        self.state = state


class SlotFile:
    """A mapped file.

    Args:
        path: made when it is not there. Processes that share it must agree on ``sets`` and ``width``.
        sets: of eight slots each.
        width: words of a state.
        patience: nanoseconds to try for a lock.

    Raises:
        OSError: it cannot be made or mapped.
        ResourceError: it is there, and made otherwise.
    """

    def __init__(self, path: str, *, sets: int, width: int, patience: int = 2_000_000) -> None:
        self.path = path
        self._sets = sets
        self._width = width
        self._stride = 3 + 2 * width
        self._patience = patience
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._descriptor = opened(self.path)
        try:
            size = 8 * (_HEADER + self._sets * WAYS * self._stride)
            header = array("q", [_VERSION, self._sets, self._width, 0, 0, 0, 0, 0])
            if os.fstat(self._descriptor).st_size < 8 * _HEADER:
                os.pwrite(self._descriptor, header.tobytes(), 0)
            found = os.pread(self._descriptor, 8 * _HEADER, 0)
            if found != header.tobytes():
                raise ResourceError(f"{self.path} was made for other limits, or by another version")
            if os.fstat(self._descriptor).st_size < size:
                os.ftruncate(self._descriptor, size)
            self._map = mmap.mmap(self._descriptor, size)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._bytes = memoryview(self._map)
        self._view = self._bytes.cast("q")

    def close(self) -> None:
        """Unmaps it; the last one to close it removes it."""
        self._view.release()
        self._bytes.release()
        self._map.close()
        if self._pid == os.getpid():
            try:
                # Everybody who uses it holds a shared lock: who gets an exclusive one is alone.
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(self.path)
            except OSError:
                pass
        os.close(self._descriptor)

    # -- locks ------------------------------------------------------------------------------------------------------

    def place(self, key: str) -> tuple[int, int, int]:
        """The key's hash, and the offset of its set."""
        high, low = _words(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return high, low, _HEADER + (low % self._sets) * WAYS * self._stride

    def stripe(self, offset: int) -> int:
        """The lock of a set."""
        return ((offset - _HEADER) // (WAYS * self._stride)) % _STRIPES

    def lock(self, stripe: int) -> None:
        """Takes a lock. Raises EngineUnavailable when somebody holds it for longer than the patience."""
        if self._pid != os.getpid():
            # A fork shares the open file and so its locks: they would not exclude it.
            self._open()
        if self._try(stripe, fcntl.F_WRLCK):
            return
        end = monotonic_ns() + self._patience
        while monotonic_ns() < end:
            os.sched_yield()
            if self._try(stripe, fcntl.F_WRLCK):
                return
        raise EngineUnavailable("another worker holds the lock of this limit", retry_after=1.0)

    def unlock(self, stripe: int) -> None:
        """Gives a lock back."""
        self._try(stripe, fcntl.F_UNLCK)

    def _try(self, stripe: int, kind: int) -> bool:
        try:
            if _OFD is not None:
                fcntl.fcntl(self._descriptor, _OFD, _FLOCK.pack(kind, 0, stripe, 1, 0))
            elif kind == fcntl.F_UNLCK:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, stripe)
            else:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, stripe)
        except BlockingIOError:
            return False
        except PermissionError:
            return False
        return True

    # -- slots, under their lock --------------------------------------------------------------------------------------

    def find(self, high: int, low: int, offset: int) -> Slot | None:
        """The slot of a key."""
        view, stride = self._view, self._stride
        for at in range(offset, offset + WAYS * stride, stride):
            if view[at] == high and view[at + 1] == low:
                which = view[at + 2]
                if which:
                    return Slot(at, True, self._state(at, which))
        return None

    def others(self, offset: int) -> list[Slot]:
        """All slots of a set; empty ones have no state."""
        view, stride = self._view, self._stride
        return [
            Slot(at, False, self._state(at, view[at + 2]) if view[at + 2] else ())
            for at in range(offset, offset + WAYS * stride, stride)
        ]

    def _state(self, at: int, which: int) -> list[int]:
        begin = at + 3 + (which - 1) * self._width
        return self._view[begin : begin + self._width].tolist()

    def write(self, slot: Slot, high: int, low: int, state: Sequence[int]) -> None:
        """Gives a key a state, in the slot it has or takes."""
        view, at, width = self._view, slot.offset, self._width
        if slot.known:
            which = 3 - view[at + 2]
        else:
            view[at + 2] = 0
            view[at] = high
            view[at + 1] = low
            which = 1
        begin = at + 3 + (which - 1) * width
        if width == 1:
            view[begin] = state[0]
        else:
            view[begin : begin + width] = memoryview(array("q", state))
        view[at + 2] = which


def opened(path: str) -> int:
    """A descriptor of the file at ``path``, held by a shared lock so that nobody removes it meanwhile."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            # The last user may have removed it between the two.
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
