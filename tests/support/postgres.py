"""A PostgreSQL of the test session's own: on a free port, in a temporary folder, to be killed, frozen and restarted.

A test module takes the fixtures by importing them: ``from tests.support.postgres import database, postgres``. However
many modules do, the session has one server, made when the first test asks, and stopped at its end.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from tests.support.ports import free_port

__all__ = ["Postgres", "database", "find_postgres", "postgres"]

PATIENCE = 30.0
_READY = "database system is ready to accept connections"
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "250",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_destination": "stderr",
}


def find_postgres() -> Path | None:
    """The folder with ``initdb`` and ``postgres``, the newest where there are several; None without any."""
    on_path = shutil.which("initdb")
    places = [] if on_path is None else [Path(on_path).resolve().parent]  # what is on the path may be a link
    for place in _PLACES:
        places += sorted(Path("/").glob(place.lstrip("/")), reverse=True)
    for folder in places:
        if all((folder / program).exists() for program in ("initdb", "postgres", "psql")):
            return folder
    return None


class Postgres:
    """One server. Its superuser is ``postgres`` and needs no password; members of the role ``passworded`` do.

    Args:
        folder: an empty one that the server's user may write to.
        binaries: where ``initdb``, ``postgres`` and ``psql`` are.
        settings: of ``postgresql.conf``, besides those that make it fast and unsafe.
    """

    def __init__(self, folder: Path, binaries: Path, settings: dict[str, str] | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self.log: list[str] = []
        self._folder = folder
        self._data = folder / "data"
        self._binaries = binaries
        self._settings = {**_FAST, **(settings or {})}
        self._user = _server_user()
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        self._frozen: list[int] = []
        self._numbers = count(1)
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(folder, account.pw_uid, account.pw_gid)

    # -- life ---------------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Makes the cluster (a second or two)."""
        self._run(
            "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "-A",
            "trust",
            "--no-sync",
        )
        (self._data / "pg_hba.conf").write_text(
            "host all +passworded 127.0.0.1/32 scram-sha-256\n"
            "host all all 127.0.0.1/32 trust\n"
            "local all all trust\n"
        )

    def start(self) -> None:
        """Starts the server on its port, the same after each stop; returns when it takes connections."""
        if self._process is not None:
            raise RuntimeError("the server runs already")
        options = {
            **self._settings,
            "port": str(self.port),
            "listen_addresses": self.host,
            "unix_socket_directories": str(self._folder),
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._data, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._folder,
            user=self._user,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        )
        ready, before = threading.Event(), len(self.log)
        self._process = process
        self._listener = threading.Thread(target=self._listen, args=(process, ready), daemon=True)
        self._listener.start()
        ready.wait(PATIENCE)
        if not any(_READY in line for line in self.log[before:]):
            self._end(signal.SIGKILL)
            raise RuntimeError("postgres did not start:\n" + "\n".join(self.log[-20:]))

    def stop(self, *, immediate: bool = False) -> None:
        """Ends the server and its sessions: by a fast shutdown, or as a crash would (``immediate``)."""
        self.thaw()
        self._end(signal.SIGQUIT if immediate else signal.SIGINT)

    def kill(self) -> None:
        """Ends the server without a word to anybody; its sessions notice and end too."""
        self.thaw()
        sessions = self._children()
        self._end(signal.SIGKILL)
        for pid in sessions:
            _signal(pid, signal.SIGKILL)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self, *, immediate: bool = False) -> None:
        """Stops and starts: every session there was is gone."""
        self.stop(immediate=immediate)
        self.start()

    def freeze(self) -> None:
        """Stops the clock of the server and all its sessions (SIGSTOP): sockets stay open, nobody answers."""
        process = self._running()
        self._frozen = [process.pid]
        _signal(process.pid, signal.SIGSTOP)  # first, so that no session is born meanwhile
        sessions = self._children()
        self._frozen += sessions
        for pid in sessions:
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on; nothing for one that is not."""
        for pid in self._frozen:
            _signal(pid, signal.SIGCONT)
        self._frozen = []

    def recover(self) -> None:
        """Brings the server back into the state that tests start from: running, not frozen."""
        self.thaw()
        if self._process is not None and self._process.poll() is not None:
            self._end(signal.SIGKILL)
        if self._process is None:
            self.start()

    def destroy(self) -> None:
        """Ends the server and removes its folder."""
        if self._process is not None:
            self.thaw()
            self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- use ----------------------------------------------------------------------------------------------------------

    def url(self, database: str = "postgres", *, user: str = "postgres", password: str = "") -> str:
        """``postgresql://...`` for a database of this server."""
        login = f"{user}:{password}" if password else user
        return f"postgresql://{login}@{self.host}:{self.port}/{database}"

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Runs statements one after the other, each in its own transaction; returns what psql shows, unaligned."""
        commands: list[str] = [part for each in statements for part in ("-c", each)]
        return self._run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url(database), *commands
        )

    def fresh_database(self) -> str:
        """Makes an empty database (some 20 ms) and returns its name."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def drop_database(self, name: str) -> None:
        """Removes a database, whoever is still connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def sessions(self, database: str) -> int:
        """How many clients are connected to a database."""
        return int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"))

    def terminate_sessions(self, database: str) -> int:
        """Ends every session of a database, as an operator would; returns how many there were."""
        query = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"
        return int(self.sql(query))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process

    def _listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line.rstrip())
            if _READY in line:
                ready.set()
        ready.set()  # it ended: whoever waits looks at it

    def _end(self, signum: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signum)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._listener is not None:
            self._listener.join(PATIENCE)
        if process.stderr is not None:
            process.stderr.close()

    def _children(self) -> list[int]:
        process = self._running()
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in listed.stdout.split()]

    def _run(self, program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self._folder,
            user=self._user,
            timeout=PATIENCE,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr.strip()}")
        return done.stdout.strip()


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as one of these."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name for account in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise RuntimeError("no user to run postgres as: root may not, and there is neither postgres nor nobody")


def _signal(pid: int, signum: signal.Signals) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass


_SERVER: pytest.StashKey[Postgres] = pytest.StashKey()


def shared_server(config: pytest.Config, settings: Sequence[tuple[str, str]] = ()) -> Postgres:
    """The session's server; started at the first call, stopped when pytest ends."""
    if _SERVER in config.stash:
        return config.stash[_SERVER]
    binaries = find_postgres()
    if binaries is None:
        message = "no PostgreSQL: install the package postgresql (initdb and postgres are needed)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    server = Postgres(Path(tempfile.mkdtemp(prefix="postgres-")), binaries, dict(settings))
    config.add_cleanup(server.destroy)
    server.create()
    server.start()
    config.stash[_SERVER] = server
    return server


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """The session's server. A test may kill, freeze and restart it: the next one finds it running."""
    server = shared_server(request.config)
    server.recover()
    yield server
    server.recover()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty database, removed after the test."""
    name = postgres.fresh_database()
    yield postgres.url(name)
    postgres.recover()
    postgres.drop_database(name)
