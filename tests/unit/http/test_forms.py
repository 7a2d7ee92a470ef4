"""Bodies of type application/x-www-form-urlencoded."""

from __future__ import annotations

import pytest

from framework.errors import HTTPError
from framework.http.forms import parse_urlencoded


def test_parses_fields_in_order() -> None:
    form = parse_urlencoded("name=Ann+Lee&city=M%C3%BCnchen&tag=a&tag=b&tag=é".encode())
    assert list(form.items()) == [
        ("name", "Ann Lee"),
        ("city", "München"),
        ("tag", "a"),
        ("tag", "b"),
        ("tag", "é"),
    ]
    assert form["tag"] == "a"
    assert form.get_all("tag") == ["a", "b", "é"]


def test_an_empty_body_has_no_fields() -> None:
    assert len(parse_urlencoded(b"")) == 0


def test_too_many_fields_answer_400() -> None:
    with pytest.raises(HTTPError) as caught:
        parse_urlencoded(b"a&b&c", max_fields=2)
    assert caught.value.status == 400


def test_repr_shows_no_passwords() -> None:
    assert repr(parse_urlencoded(b"user=ann&password=hunter2")) == "<FormData user, password>"
