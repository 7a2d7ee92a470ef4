from __future__ import annotations

import os

from benchmarks.load.process import cpu_seconds, free_port, parse_stat, pinned, rss_kib, tree


def test_parse_stat_survives_a_name_with_spaces_and_brackets() -> None:
    text = "4242 (uv (x) y) S 17 4242 4242 0 -1 4194560 1 2 3 4 100 20 3 7 20 0 1 0 5 6 7"
    assert parse_stat(text) == (17, 130)


def test_this_process_is_measured() -> None:
    assert os.getpid() in tree(os.getpid())
    assert cpu_seconds(os.getpid()) > 0
    assert rss_kib(os.getpid()) > 1000


def test_a_pid_that_does_not_exist_has_spent_nothing() -> None:
    assert cpu_seconds(2**22 + 1) == 0


def test_pinned_puts_taskset_before_the_command() -> None:
    assert pinned(1, ["wrk", "-t1"]) == ["taskset", "-c", "1", "wrk", "-t1"]


def test_a_free_port_is_one() -> None:
    assert 1024 <= free_port() <= 65535
