"""Cache-Control as anybody may send it: read without an error, and never more generous than its words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framework.plugins.cache.http.directives import MAX_AGE, parse_directives, seconds_of
from framework.plugins.cache.http.rules import Terms, terms_of, wishes_of

WORDS = st.sampled_from(
    [
        "max-age",
        "s-maxage",
        "no-store",
        "private",
        "public",
        "no-cache",
        "must-revalidate",
        "stale-if-error",
        "x",
    ]
)
ARGUMENTS = st.one_of(
    st.none(),
    st.integers(0, 10**12).map(str),
    st.sampled_from(["-1", "1.5", "", '"5"', '"a, no-store"', "0x5", "٥"]),
)


@given(field=st.text(max_size=80))
def test_any_text_is_read(field: str) -> None:
    directives = parse_directives(field)
    assert all(name == name.lower() and name for name in directives)
    wishes_of(field, None)
    assert isinstance(
        terms_of(200, [("cache-control", field)], authorized=False, personal=False, now=1e9), Terms | str
    )


@given(said=st.lists(st.tuples(WORDS, ARGUMENTS), max_size=6), upper=st.booleans())
def test_what_is_said_is_found(said: list[tuple[str, str | None]], upper: bool) -> None:
    field = ", ".join(name if value is None else f"{name}={value}" for name, value in said)
    found = parse_directives(field.upper() if upper else field)
    assert set(found) >= {name for name, _ in said if name != "x"}
    assert "no-store" not in found or any(name == "no-store" for name, _ in said)
    terms = terms_of(200, [("cache-control", field)], authorized=False, personal=False, now=1e9)
    names = {name for name, _ in said}
    if names & {"no-store", "private"}:
        assert isinstance(terms, str)
    if not isinstance(terms, str):
        lives = [
            seconds_of((value or "").strip('"')) or 0
            for name, value in said
            if name in ("max-age", "s-maxage")
        ]
        assert terms.life <= max(lives, default=0)


@given(text=st.text(max_size=12))
def test_seconds_are_digits_alone(text: str) -> None:
    seconds = seconds_of(text)
    digits = text != "" and all(char in "0123456789" for char in text)
    assert (seconds is not None) == digits
    assert seconds is None or 0 <= seconds <= MAX_AGE
