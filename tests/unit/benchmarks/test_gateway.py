from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gateway import __main__ as command
from benchmarks.gateway import loads, paced, proxies
from benchmarks.gateway.__main__ import LEFT_OUT, Bench, summed
from benchmarks.gateway.paced import OverloadError, Pace, Reading, drive, percentile, summary
from benchmarks.gateway.proxies import CONTESTANTS, Absent, fields_for
from benchmarks.load.wrk import WrkError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


# -- a constant rate ----------------------------------------------------------------------------------------------


def test_requests_are_due_at_even_distances() -> None:
    pace = Pace(rate=10.0, count=3, connections=2)
    assert pace.take(0.0) == 0
    assert pace.take(0.05) is None
    assert pace.wait(0.05) == pytest.approx(0.05)
    assert pace.take(0.1) == 1
    assert not pace.done


def test_what_waits_for_a_connection_waits_at_its_own_expense() -> None:
    """One stall of a second on the only connection: all that were due meanwhile have waited, and say so."""
    pace = Pace(rate=10.0, count=10, connections=1)
    now = 0.0
    assert pace.take(now) == 0
    assert pace.take(0.5) is None
    assert pace.wait(0.5) is None  # until an answer comes
    now = 1.0
    pace.answered(0, now)
    while (connection := pace.take(now)) is not None:
        pace.answered(connection, now)
    assert pace.done
    # Of the warm-up (the first two) nothing is told.
    assert pace.latencies == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_connections_take_turns() -> None:
    pace = Pace(rate=1000.0, count=6, connections=3)
    taken = []
    for number in range(6):
        connection = pace.take(number / 1000)
        assert connection is not None
        taken.append(connection)
        pace.answered(connection, number / 1000)
    assert taken == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_is_whole_however_it_comes(cut: int) -> None:
    reading = Reading()
    for _ in range(2):
        assert not reading.feed(ANSWER[:cut])
        assert reading.feed(ANSWER[cut:])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (ANSWER.replace(b"200 OK", b"502 Bad Gateway"), "502"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "without its length"),
        (ANSWER + b"x", "more came"),
    ],
)
def test_what_is_no_good_answer_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Reading().feed(data)


@contextmanager
def pairs(number: int) -> Generator[tuple[list[socket.socket], list[socket.socket]]]:
    made = [socket.socketpair() for _ in range(number)]
    try:
        yield [ours for ours, _ in made], [theirs for _, theirs in made]
    finally:
        for pair in made:
            for sock in pair:
                sock.close()


def ticking(step: float) -> Iterator[float]:
    return (number * step for number in count())


def test_all_are_sent_and_timed() -> None:
    clock = ticking(0.001)
    with pairs(4) as (ours, theirs):
        for sock in theirs:
            sock.sendall(ANSWER)
        pace = Pace(rate=1e6, count=4, connections=4)
        drive(pace, ours, b"GET", limit=60, clock=lambda: next(clock))
        assert [sock.recv(10) for sock in theirs] == [b"GET"] * 4
    assert len(pace.latencies) == 4
    assert all(0 < latency < 0.1 for latency in pace.latencies)


@pytest.mark.parametrize("closes", [True, False])
def test_a_server_that_does_not_keep_up_has_no_figure(*, closes: bool) -> None:
    clock = ticking(0.001)
    with pairs(1) as (ours, theirs):
        if closes:
            theirs[0].shutdown(socket.SHUT_WR)
        with pytest.raises(OverloadError, match="was closed" if closes else "1 requests have no answer"):
            drive(Pace(1e6, 2, 1), ours, b"GET", limit=0.01, clock=lambda: next(clock))


def test_percentiles_are_those_of_the_ordered() -> None:
    ordered = [float(number) for number in range(1, 1001)]
    assert [percentile(ordered, part) for part in (0.5, 0.99, 0.999, 1.0)] == [500, 990, 999, 1000]
    assert percentile([7.0], 0.5) == 7.0
    assert summary([0.003, 0.001, 0.002]) == {"p50": 2.0, "p99": 3.0, "p999": 3.0}


def test_the_sender_prints_its_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[bytes] = []

    def answered(pace: Pace, sockets: object, request: bytes, *, limit: float) -> None:
        sent.append(request)
        pace.latencies.append(limit / 1000)

    monkeypatch.setattr(paced, "drive", answered)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        given = [str(port), "/small", "100", "2", "--connections", "2", "--field", "a: b"]
        assert paced.main(given) == 0
    assert sent == [f"GET /small HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\na: b\r\n\r\n".encode()]
    assert json.loads(capsys.readouterr().out) == {"p50": 4.0, "p99": 4.0, "p999": 4.0}


def test_the_upstreams_own_latency_is_taken_off() -> None:
    found = loads.difference({"p50": 0.5, "p99": 2.0}, {"p50": 0.2, "p99": 1.5})
    assert found["added_p50"] == pytest.approx(0.3)
    assert found["added_p99"] == pytest.approx(0.5)
    assert found["direct_p99"] == 1.5


# -- rounds -------------------------------------------------------------------------------------------------------


def test_medians_are_over_the_rounds() -> None:
    rounds = [{"round": number, "rate": rate} for number, rate in enumerate((30.0, 10.0, 20.0))]
    assert summed({"1k": {"ours": rounds}}) == {"1k": {"ours": {"rate": 20.0}}}


def test_a_round_asks_each_what_it_knows_and_memory_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def one(self: Bench, contestant: str, scenario: str) -> dict[str, float]:
        if contestant == "haproxy":
            raise Absent("not installed")
        if (contestant, scenario) == ("node", "1m"):
            raise WrkError("3 of 9 requests failed")
        return {"figure": 1.0}

    monkeypatch.setattr(Bench, "_one", one)
    options = argparse.Namespace(contestants=list(CONTESTANTS), scenarios=list(LEFT_OUT))
    bench = Bench(options, tmp_path, 1, "http://127.0.0.1:2")
    for number in range(2):
        asyncio.run(bench.round(number))
    assert bench.absent == {"haproxy": "not installed", "node, 1m": "3 of 9 requests failed"}
    assert {scenario: set(found) for scenario, found in bench.samples.items()} == {
        "1k": {"ours", "ours-600", "ours-policies", "nginx", "http-proxy", "node", "aiohttp"},
        "1m": {"ours", "nginx", "http-proxy", "aiohttp"},
        "latency": {"ours", "nginx", "http-proxy", "node", "aiohttp"},
        "streams": {"ours", "http-proxy", "node", "aiohttp"},
        "tunnels": {"ours", "nginx", "http-proxy"},
    }
    assert [one["round"] for one in bench.samples["1k"]["ours"]] == [0, 1]
    assert [one["round"] for one in bench.samples["tunnels"]["ours"]] == [0]


def test_peers_that_are_not_here_say_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    for name in ("nginx", "haproxy", "node", "http-proxy"):
        with pytest.raises(Absent, match="a package of the system"):
            CONTESTANTS[name](tmp_path, "http://127.0.0.1:1", 2)
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(proxies, "MODULES", tmp_path)
    with pytest.raises(Absent, match="setup_peers"):
        CONTESTANTS["http-proxy"](tmp_path, "http://127.0.0.1:1", 2)
    (tmp_path / "http-proxy").mkdir()
    assert CONTESTANTS["http-proxy"](tmp_path, "http://127.0.0.1:1", 2)[0] == "env"
    assert CONTESTANTS["haproxy"](tmp_path, "http://127.0.0.1:1", 2)[0] == "/usr/bin/haproxy"
    assert "server s 127.0.0.1:1\n" in (tmp_path / "haproxy-2.cfg").read_text()


@pytest.mark.parametrize("contestant", ["ours", "ours-600", "ours-policies"])
def test_our_own_files_are_good(contestant: str, tmp_path: Path) -> None:
    from framework.plugins.gateway.app import create_app

    given = CONTESTANTS[contestant](tmp_path, "http://127.0.0.1:1", 2)
    file = Path(given[-1])
    create_app([file]).build(files=[file], environ={})
    assert ("authorization" in fields_for(contestant)) == (contestant == "ours-policies")


def test_the_command_writes_a_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def measure(options: argparse.Namespace) -> dict[str, Any]:
        seen.append((options.rounds, options.seconds, options.scenarios))
        return {"kind": "gateway"}

    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setattr("os.sched_setaffinity", lambda pid, cores: seen.append(cores))
    out = tmp_path / "out.json"
    given = ["gateway", "--rounds", "2", "--seconds", "1", "--scenarios", "latency", "--out", str(out)]
    monkeypatch.setattr("sys.argv", given)
    command.main()
    assert seen == [{1}, (2, 1, ["latency"])]
    assert json.loads(out.read_text()) == {"kind": "gateway"}
