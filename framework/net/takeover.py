"""A new version of the program takes the same sockets: started beside the old one, which goes once the new one serves.

The new process is the old command line run anew (new code, new interpreter, new settings), with the sockets passed as
systemd passes them and one more descriptor, on which it says that it serves.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Final

from framework.net.systemd import FIRST_DESCRIPTOR

__all__ = ["Predecessor", "Program", "Successor"]

_VARIABLE: Final = "TAKEOVER_FD"
_SHELL: Final = "/bin/sh"
# LISTEN_PID must be the pid of the program, which nobody knows before it runs: the shell knows its own, and keeps it.
_SCRIPT: Final = 'cd "$1" && shift && export LISTEN_PID=$$ && exec "$@"'


class Predecessor:
    """The server whose sockets this process was given, if there was one."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] | None = None) -> Predecessor:
        """Takes its variable out of the environment."""
        text = (os.environ if environ is None else environ).pop(_VARIABLE, "")
        if not (text.isascii() and text.isdigit()):
            return cls()
        os.set_inheritable(int(text), False)
        return cls(int(text))

    def serving(self) -> None:
        """Tells it that this process serves, so that it may go."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                os.write(descriptor, b"1")
            except OSError:
                pass  # it is gone already
            os.close(descriptor)


class Successor:
    """The new process, until it serves. ``channel`` becomes readable when there is news of it."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel

    def has_taken_over(self) -> bool:
        """Whether it said that it serves; False when it ended instead. Call it when there is news."""
        try:
            return self.channel.recv(1) == b"1"
        except OSError:
            return False

    def exit_code(self) -> int | None:
        """Its exit code once it has ended (minus a signal's number), else None."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return os.waitstatus_to_exitcode(status) if pid else None

    def close(self) -> None:
        self.channel.close()


class Program:
    """The command line of this process and where it was given, to run it again.

    Args:
        command: the interpreter's own command line when not given.
        folder: where to run it; the folder this process is in when not given, by the name it was entered by, so that
            a symbolic link to the current release leads to the new one.
    """

    def __init__(self, command: Sequence[str] | None = None, folder: str | None = None) -> None:
        self.command = list(command) if command is not None else [sys.executable, *sys.orig_argv[1:]]
        self.folder = folder or _logical_folder()

    def start(self, sockets: Sequence[socket.socket], environment: Mapping[str, str]) -> Successor:
        """Starts it with the sockets. Raises OSError when no process can be had."""
        ours, theirs = socket.socketpair()
        count = len(sockets)
        above = FIRST_DESCRIPTOR + count + 1
        moved: list[int] = []
        try:
            # First out of the way, then into place: a target may be where a source is.
            moved.extend(
                fcntl.fcntl(source.fileno(), fcntl.F_DUPFD_CLOEXEC, above) for source in (*sockets, theirs)
            )
            actions = [
                (os.POSIX_SPAWN_DUP2, descriptor, FIRST_DESCRIPTOR + index)
                for index, descriptor in enumerate(moved)
            ]
            variables = {
                **environment,
                "LISTEN_FDS": str(count),
                _VARIABLE: str(FIRST_DESCRIPTOR + count),
            }
            arguments = ["sh", "-c", _SCRIPT, "sh", self.folder, *self.command]
            pid = os.posix_spawn(_SHELL, arguments, variables, file_actions=actions)
        except BaseException:
            ours.close()
            raise
        finally:
            for descriptor in moved:
                os.close(descriptor)
            theirs.close()
        ours.setblocking(False)
        return Successor(pid, ours)


def _logical_folder() -> str:
    real = os.getcwd()
    named = os.environ.get("PWD", "")
    try:
        return named if named and os.path.samefile(named, real) else real
    except OSError:
        return real
