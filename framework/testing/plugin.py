"""The pytest plugin: ``client_for`` gives a test a client over each transport in turn; the marker ``virtual_time`` runs
an async test in virtual time; ``cancel_everywhere`` cancels a scenario at every point it can be cancelled at, and the
summary of the run says how many that were.

Put ``pytest_plugins = ["framework.testing.plugin"]`` into the top conftest.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import pytest

from framework.testing import cancellation
from framework.testing.client import TestClient, Transport
from framework.testing.clock import run_virtual

__all__ = [
    "CancelEverywhere",
    "cancel_everywhere",
    "client_for",
    "pytest_configure",
    "pytest_pyfunc_call",
    "pytest_terminal_summary",
    "transport",
]

_COVERED: Final = "cancellation"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "virtual_time: run the async test by framework.testing.run_virtual")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs async tests marked ``virtual_time``."""
    is_marked = pyfuncitem.get_closest_marker("virtual_time") is not None
    if not is_marked or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    run_virtual(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(params=["memory", "socket", "network"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """The transport of this run of the test; parametrise it to choose fewer."""
    kind: Transport = request.param
    return kind


@pytest.fixture
def client_for(transport: Transport) -> Callable[..., TestClient]:
    """``client_for(app, **options)``: a TestClient over the transport of this run."""
    return partial(TestClient, transport=transport)


class CancelEverywhere(Protocol):
    """What the fixture ``cancel_everywhere`` gives; see ``framework.testing.cancellation.cancel_everywhere``."""

    def __call__(
        self, scenario: cancellation.Scenario, **options: Any
    ) -> cancellation.CancellationReport: ...


@pytest.fixture
def cancel_everywhere(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> CancelEverywhere:
    """``cancel_everywhere(scenario, **options)``: what was covered is shown at the end of the run (``-v``), and kept
    as a property of the test."""

    def run(scenario: cancellation.Scenario, **options: Any) -> cancellation.CancellationReport:
        report = cancellation.cancel_everywhere(scenario, **options)
        record_property(_COVERED, str(report))
        return report

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what each test covered with ``cancel_everywhere``, when pytest is verbose."""
    covered = [
        f"{report.nodeid}: {value}"
        for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
        for name, value in report.user_properties
        if name == _COVERED
    ]
    if covered and terminalreporter.verbosity > 0:
        terminalreporter.section("cancelled everywhere")
        for line in covered:
            terminalreporter.line(line)
