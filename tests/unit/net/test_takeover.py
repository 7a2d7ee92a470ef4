"""How a program is started anew with the sockets of the old one."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.net.takeover import Predecessor, Program, Successor

TELL = """
import json, os, socket, sys
count = int(os.environ["LISTEN_FDS"])
json.dump(
    {
        "pid_is_mine": os.environ["LISTEN_PID"] == str(os.getpid()),
        "names": [socket.socket(fileno=3 + index).getsockname() for index in range(count)],
        "folder": os.getcwd(),
        "extra": os.environ.get("EXTRA"),
    },
    open(sys.argv[1], "w"),
)
os.write(int(os.environ["TAKEOVER_FD"]), b"1")
"""


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        yield [one, two]


def ended(successor: Successor) -> int:
    descriptor = os.pidfd_open(successor.pid)
    try:
        assert select.select([descriptor], [], [], 20)[0]
    finally:
        os.close(descriptor)
    code = successor.exit_code()
    assert code is not None
    return code


def news(successor: Successor) -> bool:
    assert select.select([successor.channel], [], [], 20)[0]
    return successor.has_taken_over()


def test_the_sockets_stand_from_descriptor_three_on(sockets: list[socket.socket], tmp_path: Path) -> None:
    out = tmp_path / "told"
    program = Program([sys.executable, "-c", TELL, str(out)], str(tmp_path))
    successor = program.start(sockets, {**os.environ, "EXTRA": "yes"})
    assert news(successor)
    assert ended(successor) == 0
    successor.close()
    told = json.loads(out.read_text())
    assert told["pid_is_mine"]
    assert told["names"] == [list(sock.getsockname()) for sock in sockets]
    assert told["folder"] == str(tmp_path)
    assert told["extra"] == "yes"


def test_sockets_that_stand_in_each_others_places_are_moved(
    tmp_path: Path, sockets: list[socket.socket]
) -> None:
    crossed = [sockets[1], sockets[0]]
    out = tmp_path / "told"
    successor = Program([sys.executable, "-c", TELL, str(out)], str(tmp_path)).start(crossed, os.environ)
    assert news(successor)
    assert ended(successor) == 0
    successor.close()
    assert json.loads(out.read_text())["names"] == [list(sock.getsockname()) for sock in crossed]


def test_a_program_that_ends_instead_is_noticed_with_its_code(
    sockets: list[socket.socket], tmp_path: Path
) -> None:
    successor = Program([sys.executable, "-c", "raise SystemExit(7)"], str(tmp_path)).start(
        sockets, os.environ
    )
    assert not news(successor)
    assert ended(successor) == 7
    successor.close()


def test_a_link_to_the_current_release_is_followed_anew(
    sockets: list[socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "one")
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("PWD", str(tmp_path / "current"))
    program = Program([sys.executable, "-c", TELL, str(tmp_path / "told")])
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "two")
    successor = program.start(sockets, os.environ)
    assert news(successor)
    ended(successor)
    successor.close()
    assert json.loads((tmp_path / "told").read_text())["folder"] == str(tmp_path / "two")


def test_a_folder_that_the_environment_names_wrongly_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in ("/", "/no/such/folder", ""):
        monkeypatch.setenv("PWD", wrong)
        assert Program().folder == str(tmp_path)


def test_the_command_is_that_of_this_process() -> None:
    command = Program().command
    assert command[0] == sys.executable
    assert command[1:] == sys.orig_argv[1:]


def test_the_predecessor_is_told_once() -> None:
    reader, writer = os.pipe()
    environ = {"TAKEOVER_FD": str(writer), "HOME": "/"}
    predecessor = Predecessor.from_environment(environ)
    assert environ == {"HOME": "/"}
    predecessor.serving()
    predecessor.serving()
    assert os.read(reader, 10) == b"1"
    assert os.read(reader, 10) == b"", "closed, so that its end is noticed too"
    os.close(reader)


def test_without_a_predecessor_nobody_is_told() -> None:
    Predecessor.from_environment({}).serving()
    Predecessor.from_environment({"TAKEOVER_FD": "x"}).serving()
