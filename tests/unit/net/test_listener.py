from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from framework.errors import SetupError
from framework.net.listener import SocketFile, bind, describe, socket_file
from framework.net.settings import ServerSettings


def bound(**settings: Any) -> list[socket.socket]:
    return bind(ServerSettings(**settings))


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


# -- TCP --------------------------------------------------------------------------------------------------------------


def test_a_free_port_is_taken_and_listened_on() -> None:
    (sock,) = bound(port=0)
    with sock:
        port = sock.getsockname()[1]
        assert describe(sock) == f"http://127.0.0.1:{port}"
        assert describe(sock, secure=True) == f"https://127.0.0.1:{port}"
        assert not sock.getblocking()
        with socket.create_connection(("127.0.0.1", port)):
            pass


def test_a_port_that_is_taken() -> None:
    (first,) = bound(port=0)
    with first:
        port = first.getsockname()[1]
        with pytest.raises(SetupError) as caught:
            bound(port=port)
    text = str(caught.value)
    assert text.startswith(f"server.port: cannot listen on 127.0.0.1:{port}: the port is taken")
    assert text.endswith("stop what listens there or choose another port (0 takes a free one)")


def test_a_host_that_is_none() -> None:
    for host in ("no.such.host.invalid", "a" * 300, "192.0.2.77"):
        with pytest.raises(SetupError, match=r"server\.host: '.*' is no address of this machine"):
            bound(host=host, port=0)


def test_a_port_this_user_may_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SetupError, match="this user may not; ports below 1024 need privileges"):
        bound(port=80)


def test_a_name_may_stand_for_a_family_the_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As localhost does for ::1 in many a container."""
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    real = socket.socket.bind

    def without_ipv6(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        real(self, address)

    monkeypatch.setattr(socket.socket, "bind", without_ipv6)
    sockets = bound(host="localhost", port=0)
    assert [sock.family for sock in sockets] == [socket.AF_INET]
    close(sockets)
    del found[1]
    with pytest.raises(SetupError, match="no address of this machine"):
        bound(host="localhost", port=0)


def test_nothing_is_left_open_when_a_later_address_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", taken.getsockname()),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
        with pytest.raises(SetupError, match="the port is taken"):
            bound(host="localhost", port=0)  # an open socket would warn, and warnings are errors


# -- unix sockets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "app.sock")


def test_a_unix_socket(path: str) -> None:
    (sock,) = bound(unix_socket=path)
    with sock:
        assert describe(sock) == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_stale_file_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(path)
    (sock,) = bound(unix_socket=path)
    with sock, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_live_server_is_left_alone(path: str) -> None:
    (first,) = bound(unix_socket=path)
    with first:
        with pytest.raises(
            SetupError, match=r"server\.unix_socket: cannot listen on .*listens there already"
        ):
            bound(unix_socket=path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_file_that_is_no_socket_is_left_alone(path: str) -> None:
    Path(path).write_text("precious")
    with pytest.raises(SetupError, match="there is a file that is no socket"):
        bound(unix_socket=path)
    assert Path(path).read_text() == "precious"


def test_a_path_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="No such file or directory"):
        bound(unix_socket=str(tmp_path / "missing" / "app.sock"))
    with pytest.raises(SetupError, match="too long"):
        bound(unix_socket=str(tmp_path / ("x" * 200)))


def test_a_relative_path_is_found_again_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (sock,) = bound(unix_socket="app.sock")
    with sock:
        file = socket_file(sock)
        assert file is not None
        monkeypatch.chdir("/")
        file.remove()
    assert not (tmp_path / "app.sock").exists()


def test_the_file_is_removed_unless_it_is_another_servers(path: str) -> None:
    (old,) = bound(unix_socket=path)
    file = SocketFile(path)
    os.chmod(path, 0o600)  # an administrator may do that; the file stays the same
    old.close()
    (new,) = bound(unix_socket=path)
    with new:
        os.utime(path, ns=(1, 1))  # where the file system gives the old number to the new file
        file.remove()
        assert os.path.exists(path)
        SocketFile(path).remove()
        assert not os.path.exists(path)
        SocketFile(path).remove()


def test_what_has_no_file_has_none_to_remove() -> None:
    (sock,) = bound(port=0)
    with sock, socket.socket(socket.AF_UNIX) as unbound:
        assert socket_file(sock) is None
        assert socket_file(unbound) is None
