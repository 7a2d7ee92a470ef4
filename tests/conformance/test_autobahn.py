"""The Autobahn test suite, strictly. All of its cases: ``python -m tests.conformance.autobahn``."""

from __future__ import annotations

import pytest

from tests.conformance import autobahn

# Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing; the limits and compression once each.
LIGHT = ("9.1.1", "9.2.1", "12.1.1", "12.2.1", "13.1.1", "13.7.1")
CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*", *LIGHT)


@pytest.mark.timeout(300)
def test_the_cases_that_take_no_time() -> None:
    python = autobahn.python27()
    if python is None or not (autobahn.FOLDER / "complete").exists():
        pytest.skip("the suite is not installed: python -m tests.conformance.autobahn, with a Python 2.7")
    reports = autobahn.run(python, CASES)
    assert set(reports) == set(autobahn.STYLES)
    for style, report in reports.items():
        assert report.bad == {}, style
        assert sum(report.behaviours.values()) > 240
