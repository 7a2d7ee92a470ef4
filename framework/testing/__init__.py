"""Testing apps: one client, three transports, virtual time, a simulated network, a pytest plugin."""

from framework.testing.answer import Answer, UnexpectedAnswer
from framework.testing.client import TestClient, Transport
from framework.testing.clock import Stuck, VirtualTimeLoop, run_virtual, virtual_loop
from framework.testing.composing import RequestOptions
from framework.testing.exchange import ClientConnection, Incoming
from framework.testing.fake import BodyPieces, fake_request
from framework.testing.network import Conditions, Link, Network, PipeTransport
from framework.testing.transport import MemoryTransport
from framework.testing.websocket import SocketClient, WebSocketDenied

__all__ = [
    "Answer",
    "BodyPieces",
    "ClientConnection",
    "Conditions",
    "Incoming",
    "Link",
    "MemoryTransport",
    "Network",
    "PipeTransport",
    "RequestOptions",
    "SocketClient",
    "Stuck",
    "TestClient",
    "Transport",
    "UnexpectedAnswer",
    "VirtualTimeLoop",
    "WebSocketDenied",
    "fake_request",
    "run_virtual",
    "virtual_loop",
]
