"""Testing apps: one client, three transports, virtual time, a simulated network, a pytest plugin."""

from framework.testing.client import Answer, TestClient
from framework.testing.clock import Stuck, VirtualTimeLoop, run_virtual
from framework.testing.exchange import ClientConnection, Incoming
from framework.testing.network import Conditions, Network, PipeTransport

__all__ = [
    "Answer",
    "ClientConnection",
    "Conditions",
    "Incoming",
    "Network",
    "PipeTransport",
    "Stuck",
    "TestClient",
    "VirtualTimeLoop",
    "run_virtual",
]
