"""Who holds a port: looked up in this machine's /proc, and in one made here."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from framework.errors import SetupError
from framework.net.holder import holder_of_path, holder_of_port
from framework.net.listener import bind
from framework.net.settings import ServerSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_process_that_listens_is_named_with_its_command(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as sock:
        found = holder_of_port(sock.getsockname())
    assert found is not None
    assert found.startswith(f"process {os.getpid()} (")


def test_one_that_listens_on_every_address_is_found_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        assert holder_of_port(("127.0.0.1", sock.getsockname()[1])) is not None


def test_a_free_port_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = sock.getsockname()
    assert holder_of_port(address) is None


def test_a_connection_is_no_listener() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert holder_of_port(client.getsockname()) is None


def test_the_process_behind_a_unix_socket_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        found = holder_of_path(path)
    assert found is not None
    assert found.startswith(f"process {os.getpid()} (")


def test_a_process_one_may_not_look_into_is_named_by_its_user(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n"
    )
    assert holder_of_port(("127.0.0.1", 8080), proc=tmp_path) == "a process of user root"
    assert holder_of_port(("127.0.0.1", 8081), proc=tmp_path) is None
    (tmp_path / "net" / "tcp").write_text(
        (tmp_path / "net" / "tcp").read_text().replace("    0   ", "987654   ")
    )
    assert holder_of_port(("127.0.0.1", 8080), proc=tmp_path) == "a process of user 987654"


def test_where_there_is_no_proc_nothing_is_known(tmp_path: Path) -> None:
    assert holder_of_port(("127.0.0.1", 80), proc=tmp_path) is None
    assert holder_of_path("/run/app.sock", proc=tmp_path) is None


@pytest.mark.parametrize("copies", [1, 2])
def test_a_taken_port_is_said_to_be_taken_and_by_what(copies: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(
            SetupError, match=rf"^server\.port: cannot listen on 127\.0\.0\.1:{port}: .* taken by process"
        ):
            bind(ServerSettings(port=port), copies=copies)


def test_a_port_that_other_copies_spread_is_taken_all_the_same() -> None:
    sockets = bind(ServerSettings(port=0), copies=2)
    try:
        with pytest.raises(SetupError, match="the port is taken by process"):
            bind(ServerSettings(port=sockets[0].getsockname()[1]), copies=2)
    finally:
        for sock in sockets:
            sock.close()


def test_a_live_unix_socket_is_said_to_be_served_by_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        with pytest.raises(SetupError, match=rf"process {os.getpid()} .* listens there already"):
            bind(ServerSettings(unix_socket=path))
