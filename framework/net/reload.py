"""Development: one worker, started anew when a file changes. The socket stays open, so that a browser waits."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from framework.errors import SetupError
from framework.net.brain import NEVER, Ending, Hands

__all__ = ["SUFFIXES", "Watcher", "Workbench"]

SUFFIXES: Final = (".py", ".pyx", ".toml", ".yaml", ".yml", ".html", ".jinja", ".j2", ".sql")
"""Of the files that count. Not of those that an app writes itself, or it would start for ever."""


class Workbench:
    """The brain for development.

    A change ends the worker, and only then starts the next, so that no request meets old code. One that does not
    start shows why, and the next change tries again.

    Args:
        stop_time: seconds from a change until the worker's waits are cut short; as long again, and it is killed.
    """

    def __init__(self, hands: Hands, *, log: logging.Logger, stop_time: float = 1.0) -> None:
        self.code: int | None = None
        self._hands = hands
        self._log = log
        self._stop_time = stop_time
        self._worker: int | None = None
        self._last = 0
        self._ready = self._told = self._stopping = self._again = False
        self._force_at = self._kill_at = NEVER

    @property
    def healthy(self) -> bool:
        return self._ready

    def start(self, now: float) -> None:
        """Starts the worker."""
        self._last += 1
        self._worker = self._last
        self._again = False
        self._force_at = self._kill_at = NEVER
        self._hands.spawn(self._last, 0)

    def ready(self, worker: int, now: float) -> None:
        """The worker serves."""
        self._ready = True
        if self._told:
            self._log.info("ready")
        else:
            self._told = True
            self._hands.serving()

    def beat(self, worker: int, now: float, requests: int, rss: int) -> None:
        """Nobody is hurried here: a loop that stands still may stand at a breakpoint."""

    def leaving(self, worker: int, now: float) -> None:
        """It was told to go by somebody else."""
        self._hands.stop(worker)

    def exited(self, worker: int, now: float, ending: Ending) -> None:
        """Starts the next after a change; else waits for one."""
        self._worker = None
        self._ready = False
        if self._stopping:
            self.code = 0
        elif self._again:
            self._log.info("starting anew")
            self.start(now)
        else:
            self._log.error("the worker %s; waiting for a change%s", ending, ending.quoted)

    def reload(self, now: float) -> None:
        """As if a file had changed."""
        self._log.info("told to reload")
        self._begin_anew(now)

    def changed(self, files: Sequence[str], now: float) -> None:
        """Says which files, and begins anew."""
        self._log.info("changed: %s", ", ".join(_short(file) for file in files))
        self._begin_anew(now)

    def _begin_anew(self, now: float) -> None:
        if self._stopping:
            return
        if self._worker is None:
            self._log.info("starting anew")
            self.start(now)
        elif not self._again:
            self._again = True
            self._dismiss(now)

    def _dismiss(self, now: float) -> None:
        if self._worker is not None:
            self._force_at = now + self._stop_time
            self._kill_at = self._force_at + self._stop_time
            self._hands.stop(self._worker)

    def stop(self, now: float) -> None:
        """Ends the worker; a second call kills it."""
        if self._worker is None:
            self.code = 0
        elif self._stopping:
            self._hands.kill(self._worker)
        else:
            self._dismiss(now)
        self._stopping = True

    def tick(self, now: float) -> float:
        """Hurries a worker that does not go."""
        if self._worker is not None and now >= self._force_at:
            self._force_at = NEVER
            self._hands.stop(self._worker)
        if self._worker is not None and now >= self._kill_at:
            self._kill_at = NEVER
            self._hands.kill(self._worker)
        return min(self._force_at, self._kill_at)


def _short(file: str) -> str:
    """Relative to where the developer is, when it is below that."""
    short = os.path.relpath(file)
    return file if short.startswith("..") else short


class Watcher:
    """Watches folders in a thread of its own, and writes the names of changed files to a socket, one a line.

    Args:
        folders: watched with all that is below them.
        suffixes: of the files that count.

    Raises:
        SetupError: watchfiles is not installed, or there is no such folder.
    """

    def __init__(self, folders: Sequence[Path], *, suffixes: Sequence[str] = SUFFIXES) -> None:
        try:
            import watchfiles
        except ImportError:
            raise SetupError("reload: needs the package watchfiles (pip install watchfiles)") from None
        missing = [f"reload: {folder} is no folder" for folder in folders if not folder.is_dir()]
        if missing:
            raise SetupError(missing)
        self._filter = watchfiles.DefaultFilter()
        self._watch = watchfiles.watch
        self._folders = folders
        self._suffixes = tuple(suffixes)
        self._ended = threading.Event()
        self.socket, self._writer = socket.socketpair()
        self.socket.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="file watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        with self._writer:
            for changes in self._changes():
                files = sorted({file for _, file in changes if file.endswith(self._suffixes)})
                if files:
                    self._writer.sendall("".join(f"{file}\n" for file in files).encode())

    def _changes(self) -> Iterator[set[tuple[Any, str]]]:
        return self._watch(
            *self._folders, watch_filter=self._filter, stop_event=self._ended, rust_timeout=500, debounce=400
        )

    def close(self) -> None:
        """Returns when the thread has ended."""
        self._ended.set()
        self.socket.close()
        if self._thread.is_alive():
            self._thread.join()
