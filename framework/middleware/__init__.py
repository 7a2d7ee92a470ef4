"""Middleware: the contract, and what ships."""

from framework.middleware.access_log import AccessLog
from framework.middleware.chain import Chain, Hooks, Layer, Phase, compose
from framework.middleware.deadlines import Deadline, time_left
from framework.middleware.failures import ErrorMap, Renderer
from framework.middleware.request_id import RequestId

__all__ = [
    "AccessLog",
    "Chain",
    "Deadline",
    "ErrorMap",
    "Hooks",
    "Layer",
    "Phase",
    "Renderer",
    "RequestId",
    "compose",
    "time_left",
]
