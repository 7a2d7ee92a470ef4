"""A MariaDB server of the test run's own, on a free port, in a folder that is thrown away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ports import free_port

__all__ = ["MariaDB", "mariadb", "mysql_url"]

_KEY = pytest.StashKey["MariaDB"]()


class MariaDB:
    """A running server. ``url(database)``: as user ``app`` with the password ``secret``."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        account = ["--user=mysql"] if os.geteuid() == 0 else []
        if account:
            shutil.chown(folder, "mysql")
        self._account = account
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", *account,
             "--auth-root-authentication-method=normal",
             "--skip-test-db"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        self.start()
        self.sql("CREATE USER app@'%' IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO app@'%'; FLUSH PRIVILEGES")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={self._folder}/data", f"--port={self.port}",
                 "--bind-address=127.0.0.1", f"--socket={self._folder}/s", f"--pid-file={self._folder}/pid",
                 "--skip-log-bin", "--innodb-flush-log-at-trx-commit=2", *self._account],
                stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            done = subprocess.run(
                ["mariadb-admin", f"--socket={self._folder}/s", "-uroot", "ping"],
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"mariadbd did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def sql(self, statements: str) -> None:
        subprocess.run(
            ["mariadb", f"--socket={self._folder}/s", "-uroot", "-e", statements],
            check=True,
            capture_output=True,
        )

    def fresh_database(self) -> str:
        self._databases += 1
        name = f"test_{self._databases}"
        self.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def url(self, database: str) -> str:
        return f"mysql://app:secret@127.0.0.1:{self.port}/{database}"

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)


@pytest.fixture(scope="session")
def mariadb(pytestconfig: pytest.Config) -> Iterator[MariaDB]:
    """The server of this run."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        missing = "MariaDB is not installed: apt-get install mariadb-server"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    server = MariaDB(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mysql_url(mariadb: MariaDB) -> Iterator[str]:
    """URL of an empty database."""
    name = mariadb.fresh_database()
    yield mariadb.url(name)
    mariadb.sql(f"DROP DATABASE {name}")
