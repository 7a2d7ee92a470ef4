"""What tells the processes of one chat of each other's entries. It may lose messages: the log is the truth, and whoever
finds a gap reads it from there."""

from framework.plugins.chat.bus.contract import Bus, LocalBus
from framework.plugins.chat.bus.messages import (
    Came,
    Closed,
    Gone,
    Here,
    Invited,
    Present,
    Said,
    Told,
    Typed,
    Who,
    decode_message,
    encode_message,
)

__all__ = [
    "Bus",
    "Came",
    "Closed",
    "Gone",
    "Here",
    "Invited",
    "LocalBus",
    "Present",
    "Said",
    "Told",
    "Typed",
    "Who",
    "decode_message",
    "encode_message",
]
