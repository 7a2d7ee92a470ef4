from __future__ import annotations

from benchmarks.facts import busy_warning, machine_facts
from benchmarks.setup_peers import PEERS, requirements


def test_the_machine_is_described() -> None:
    facts = machine_facts()
    assert facts["cpu"]
    assert facts["cores"] >= 1
    assert facts["python"].startswith("CPython 3.")
    assert facts["date"].endswith("+00:00")


def test_a_busy_machine_gets_a_warning() -> None:
    assert busy_warning(0.1) is None
    assert "2.50" in (busy_warning(2.5) or "")


def test_every_peer_is_pinned() -> None:
    pins = requirements(PEERS.read_text())
    assert pins == sorted(pins)
    assert all("==" in pin and "://" not in pin for pin in pins)


def test_comments_are_no_requirements() -> None:
    assert requirements("# a\n\nx==1  # b\n") == ["x==1"]
