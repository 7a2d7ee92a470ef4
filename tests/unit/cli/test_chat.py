"""``framework chat asyncapi``; the others are tried beside the app, in ``tests/apps/chat``."""

from __future__ import annotations

import json

from framework import __version__

from .driver import Project


def test_the_protocols_document(project: Project) -> None:
    outcome = project.call("chat", "asyncapi", "--path", "/talk", "--host", "h.test")
    document = json.loads(outcome.out)
    assert outcome.err == ""
    assert outcome.out.startswith('{\n  "asyncapi": "3.0.0"')
    assert document["info"]["version"] == __version__
    assert document["channels"]["chat"]["address"] == "/talk/ws"
    assert document["servers"]["chat"]["host"] == "h.test"


def test_in_one_line(project: Project) -> None:
    outcome = project.call("chat", "asyncapi", "--compact")
    assert outcome.out.startswith('{"asyncapi":"3.0.0"')
    assert outcome.out.count("\n") == 1
