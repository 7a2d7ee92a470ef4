"""A Redis of the test session's own: on a free port, in a temporary folder, to be killed, frozen and restarted.

A test module takes the fixtures by importing them: ``from tests.support.redis import redis_server``. However many
modules do, the session has one server, made when the first test asks; it is emptied before each test that uses it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.ports import free_port

__all__ = ["RedisServer", "find_redis", "own_redis_server", "redis_server"]

PATIENCE = 20.0
_PROGRAMS = ("redis-server", "valkey-server")


def find_redis() -> str | None:
    """The path of the server program; None where none is installed."""
    for program in _PROGRAMS:
        if (found := shutil.which(program)) is not None:
            return found
    return None


class RedisServer:
    """One server process.

    Attributes:
        port: on the loopback interface; the same after a restart.
        socket_path: its unix socket.
    """

    def __init__(self, *options: str) -> None:
        program = find_redis()
        assert program is not None
        self._program = program
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.socket_path = str(Path(self._folder.name) / "redis.sock")
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it, empty, and waits until it answers."""
        words = [
            self._program,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        words += ["--dir", self._folder.name, "--unixsocket", self.socket_path, "--daemonize", "no"]
        log = Path(self._folder.name) / "log"
        self._process = subprocess.Popen(
            [*words, "--logfile", str(log), *self._options], stdin=subprocess.DEVNULL
        )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"redis-server did not start:\n{log.read_text()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def command(self, *words: str) -> bytes:
        """The first bytes of the reply to a command, asked for on a connection of its own."""
        data = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as sock:
            sock.sendall(data.encode())
            return sock.recv(65_536)

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kills it and starts another in its place."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stops it from running; its sockets stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends it and removes its folder."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        self._folder.cleanup()


def made(*options: str) -> RedisServer:
    """A new server. Where none is installed: a skip, on CI a failure."""
    if find_redis() is None:
        message = "redis-server is not installed (apt install redis-server)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return RedisServer(*options)


def _emptied(server: RedisServer) -> RedisServer:
    server.command("FLUSHALL")
    server.command("SCRIPT", "FLUSH")
    return server


@pytest.fixture
def redis_server(request: pytest.FixtureRequest) -> RedisServer:
    """The session's server, empty. Leave it as it is: to kill or freeze one, take ``own_redis_server``."""
    return _emptied(_shared(request))


def _shared(request: pytest.FixtureRequest) -> RedisServer:
    # One for the session, however many modules import the fixture under whatever name.
    stash = request.config.stash
    server = stash.get(_KEY, None)
    if server is None:
        server = stash[_KEY] = made()
        request.config.add_cleanup(server.close)
    return server


_KEY = pytest.StashKey[RedisServer]()


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A server for one test alone."""
    server = made()
    try:
        yield server
    finally:
        server.close()


def options_server(options: Sequence[str]) -> RedisServer:
    """A server with further options, such as ``("--requirepass", "x")``; close it."""
    return made(*options)
