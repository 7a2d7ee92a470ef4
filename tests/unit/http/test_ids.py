"""Ids: random, of one form, each given once, also behind a fork."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from framework.http.ids import random_id


def test_each_id_is_32_hex_digits_and_given_once() -> None:
    ids = [random_id() for _ in range(1_000)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)
    assert len(set(ids)) == len(ids)


def test_threads_that_ask_at_once_get_different_ids() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            many = list(threads.map(lambda _: [random_id() for _ in range(4_000)], range(8)))
    finally:
        sys.setswitchinterval(before)
    ids = [one for some in many for one in some]
    assert len(set(ids)) == len(ids) == 32_000


FORKED = """
import os
from framework.http.ids import random_id
random_id()  # there is a stock to inherit
reading, writing = os.pipe()
if os.fork() == 0:
    os.write(writing, " ".join(random_id() for _ in range(100)).encode())
    os._exit(0)
os.close(writing)
os.wait()
theirs = set(os.fdopen(reading).read().split())
print(len(theirs), theirs.isdisjoint(random_id() for _ in range(200)))
"""


def test_a_fork_does_not_repeat_its_parents_ids() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100", "True"]
