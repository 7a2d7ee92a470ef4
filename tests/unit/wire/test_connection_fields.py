"""The fields that decide about the connection: RFC 9110 sections 7.6.1, 7.8 and 10.1.1, RFC 9112 section 9.3."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.wire.leaves import RequestHead

Read = Callable[..., RequestHead]
Refusal = Callable[..., int]


@pytest.mark.parametrize(
    ("fields", "in_1_1", "in_1_0"),
    [
        ([], True, False),
        (["Connection: keep-alive"], True, True),
        (["Connection: Keep-Alive"], True, True),
        (["Connection: close"], False, False),
        (["CONNECTION: \t CLOSE\t"], False, False),
        (["Connection: x, close"], False, False),
        (["Connection: x ,\tclose ,y"], False, False),
        (["Connection: keep-alive, close"], False, False),
        (["Connection: close, keep-alive"], False, False),
        (["Connection: keep-alive", "Connection: close"], False, False),
        (["Connection: x", "Connection: keep-alive"], True, True),
        (["Connection: ,,keep-alive,"], True, True),
        (["Connection: "], True, False),
        (["Connection: closed"], True, False),
        (["Connection: clos"], True, False),
        (["Connection: close x"], True, False),
        (['Connection: "close"'], True, False),
        (["Connection: close;q=1"], True, False),
        (["Connection: \xa0close"], True, False),
        (["Keep-Alive: timeout=5"], True, False),
        (["Proxy-Connection: keep-alive"], True, False),
    ],
)
def test_connection_is_a_list_of_tokens_in_any_case(
    read: Read, fields: list[str], in_1_1: bool, in_1_0: bool
) -> None:
    assert read("GET / HTTP/1.1", *fields).keep_alive is in_1_1
    assert read("GET / HTTP/1.0", *fields).keep_alive is in_1_0


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        (["Connection: Upgrade", "Upgrade: websocket"], True),
        (["Upgrade: websocket", "Connection: keep-alive, Upgrade"], True),
        (["Connection: keep-alive", "Connection: upgrade", "Upgrade: h2c"], True),
        (["Upgrade: websocket"], False),
        (["Upgrade: websocket", "Connection: close"], False),
        (["Connection: upgrade"], False),
        (["Connection: upgrade", "Upgrades: x"], False),
        (["Connection: upgrades", "Upgrade: x"], False),
    ],
)
def test_an_upgrade_needs_the_field_and_the_token(read: Read, fields: list[str], upgrade: bool) -> None:
    assert read("GET / HTTP/1.1", *fields).upgrade is upgrade


def test_http_1_0_cannot_upgrade(read: Read) -> None:
    assert not read("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: websocket").upgrade


@pytest.mark.parametrize("value", ["100-continue", "100-Continue", "\t100-CONTINUE "])
def test_the_one_expectation_there_is(read: Read, value: str) -> None:
    assert read("POST / HTTP/1.1", f"Expect: {value}").expect_continue
    assert not read("POST / HTTP/1.1").expect_continue


@pytest.mark.parametrize("value", ["", "100", "200-ok", "100-continue, x", "100-continue;a=b", "x"])
def test_another_expectation_fails(refusal: Refusal, value: str) -> None:
    assert refusal("POST / HTTP/1.1", f"Expect: {value}") == 417
    assert refusal("POST / HTTP/1.1", "Expect: 100-continue", f"Expect: {value}") == 417


@pytest.mark.parametrize("value", ["100-continue", "x"])
def test_an_expectation_in_http_1_0_is_ignored(read: Read, value: str) -> None:
    assert not read("POST / HTTP/1.0", f"Expect: {value}").expect_continue
