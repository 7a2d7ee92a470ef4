"""What systemd hands over, and what it is told: against sockets made here."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.errors import SetupError
from framework.net.systemd import Notifier, inherited_sockets


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def handed(*descriptors: int) -> int:
    """Puts copies of descriptors in a row, as a parent would; returns the first."""
    first = 200
    for index, descriptor in enumerate(descriptors):
        os.dup2(descriptor, first + index)
    return first


def environment(count: int, pid: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_PID": str(pid or os.getpid()),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": "web:",
        "HOME": "/",
    }


def test_sockets_are_taken_and_their_variables_removed(listener: socket.socket) -> None:
    environ = environment(2)
    first = handed(listener.fileno(), listener.fileno())
    taken = inherited_sockets(environ, first=first)
    assert [sock.fileno() for sock in taken] == [first, first + 1]
    assert taken[0].getsockname() == listener.getsockname()
    assert not taken[0].getblocking()
    assert not taken[0].get_inheritable()
    assert environ == {"HOME": "/"}, "no child may take them for its own"
    for sock in taken:
        sock.close()


def test_sockets_for_another_process_are_left_alone(listener: socket.socket) -> None:
    environ = environment(1, pid=os.getpid() + 1)
    assert inherited_sockets(environ, first=handed(listener.fileno())) == []
    assert environ == {"HOME": "/"}
    os.close(200)


def test_nothing_is_taken_when_nothing_was_handed_over() -> None:
    assert inherited_sockets({}) == []


def test_what_is_no_listening_stream_socket_is_refused_and_each_is_named(listener: socket.socket) -> None:
    with (
        socket.socket() as idle,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram,
        Path(os.devnull).open() as file,
    ):
        first = handed(listener.fileno(), idle.fileno(), datagram.fileno(), file.fileno())
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "5", "LISTEN_FDNAMES": "web:api"}
        with pytest.raises(SetupError) as caught:
            inherited_sockets(environ, first=first)
    assert caught.value.problems == (
        "LISTEN_FDS: descriptor 201 (api) does not listen (Accept=no is needed)",
        "LISTEN_FDS: descriptor 202 is no stream socket (ListenStream= makes one)",
        "LISTEN_FDS: descriptor 203 is no socket",
        "LISTEN_FDS: descriptor 204 cannot be used: Bad file descriptor",
    )
    for descriptor in (201, 202, 203):
        os.close(descriptor)


def test_a_count_that_is_none_is_refused() -> None:
    with pytest.raises(SetupError, match="'two' is no count"):
        inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "two"})


class Manager:
    """A service manager that reads what it is told."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def hears(self) -> dict[str, str]:
        lines = self.socket.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, str]]:
    name = (
        str(tmp_path / "notify") if request.param == "path" else f"@test-{os.getpid()}-{time.monotonic_ns()}"
    )
    heard = Manager(name.replace("@", "\0", 1) if name[0] == "@" else name)
    with heard.socket:
        yield heard, name


def test_each_state_is_told(manager: tuple[Manager, str]) -> None:
    heard, name = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": name})
    notifier.ready("2 workers")
    assert heard.hears() == {"READY": "1", "STATUS": "2 workers"}
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    told = heard.hears()
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    notifier.stopping()
    assert heard.hears()["STOPPING"] == "1"
    notifier.alive()
    assert heard.hears() == {"WATCHDOG": "1"}
    notifier.successor(42)
    assert heard.hears() == {"MAINPID": "42"}
    notifier.close()


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier.from_environment({})
    notifier.ready("all")
    assert notifier.watchdog_interval is None
    assert notifier.environment == {}
    notifier.close()


def test_a_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    notifier.ready("all")
    notifier.close()


def test_the_watchdog_gets_two_signs_in_its_time() -> None:
    environ = {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.from_environment(environ)
    assert notifier.watchdog_interval == 1.5
    assert environ == {}
    assert notifier.environment == {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000"}


@pytest.mark.parametrize(
    "environ",
    [
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "3000000"},
        {"WATCHDOG_USEC": "3000000"},
    ],
)
def test_a_watchdog_that_does_not_mean_this_process_gets_none(environ: dict[str, str]) -> None:
    assert Notifier.from_environment(environ).watchdog_interval is None
