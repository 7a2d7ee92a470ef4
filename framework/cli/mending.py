"""Development: an app that cannot be built yet is waited for, as one that a change has broken is."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from framework.cli.failure import Failure, tell
from framework.cli.paper import warn
from framework.net.reload import Watcher

__all__ = ["anew_when_mended"]


@contextmanager
def anew_when_mended(folders: Sequence[Path]) -> Generator[None]:
    """Where the block fails because the app's source is wrong: says so, waits for a change of a file in one of
    ``folders``, and runs the command anew in place of this process. Without folders it fails as ever.

    The process stays the same for those who look after it; a new interpreter is the only sure way to import a module
    again.
    """
    try:
        yield
    except Failure as failure:
        if not folders or not failure.mendable:
            raise
        tell(failure)
        _await_change(folders)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _await_change(folders: Sequence[Path]) -> None:
    watcher = Watcher(folders)
    with closing(watcher):
        watcher.start()
        warn("waiting for a change")
        select.select([watcher.socket], [], [])
        files = watcher.socket.recv(65_536).decode().splitlines()
    warn(f"changed: {', '.join(os.path.relpath(file) for file in files)}")
