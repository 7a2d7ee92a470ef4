"""The parts of messages against naive oracles, round trips, and clients that lie."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from framework.errors import CodecError, HTTPError, LocalProtocolError
from framework.http.cookies import parse_cookies, set_cookie
from framework.http.etags import matches_strong, matches_weak, parse_etags, quote_etag
from framework.http.forms import parse_urlencoded
from framework.http.forwarded import Seen, TrustedProxies
from framework.http.headers import Headers, MutableHeaders
from framework.http.media import best_match, is_json, parse_media_type
from framework.http.query import QueryParams

TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~09azAZ"
TOKENS = st.text(TOKEN_CHARACTERS, min_size=1, max_size=6)
LATIN = st.text(st.characters(max_codepoint=255), max_size=20)
WIRE = st.text(st.sampled_from('aA=;,."*/[]:%+& \t\\01é'), max_size=40)
NAMES = st.sampled_from(["a", "b", "x-y", "cookie"])
PAIRS = st.lists(st.tuples(NAMES, LATIN), max_size=8)


@given(PAIRS, NAMES)
def test_headers_agree_with_a_scan_of_the_pairs(pairs: list[tuple[str, str]], name: str) -> None:
    headers = Headers(pairs)
    values = [value for key, value in pairs if key == name]
    asked = name.upper()
    assert headers.get_all(asked) == values
    assert headers.get(asked) == (values[0] if values else None)
    assert (asked in headers) == bool(values)
    assert len(headers) == len(list(headers)) == len({key for key, _ in pairs})
    assert list(headers.items()) == pairs


@given(st.text(max_size=8) | TOKENS, st.text(max_size=12) | LATIN)
def test_no_field_to_send_breaks_out_of_its_line(name: str, value: str) -> None:
    headers = MutableHeaders()
    try:
        headers.add(name, value)
    except LocalProtocolError:
        assert headers.pairs == []
        return
    line = ": ".join(headers.pairs[0]).encode("latin-1")
    assert line.isascii() or value.encode("latin-1") in line
    assert not {0, 10, 13} & set(line)
    received, _, rest = line.partition(b": ")
    assert received.decode().lower() == name.lower()
    assert rest.decode("latin-1") == value == value.strip(" \t\r\n\0")


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=6))
def test_queries_and_forms_survive_the_round_trip(pairs: list[tuple[str, str]]) -> None:
    clean = [
        (name.encode(errors="replace").decode(), value.encode(errors="replace").decode())
        for name, value in pairs
    ]
    text = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in clean)
    assert list(QueryParams(text).items()) == clean
    assert list(parse_urlencoded(text.encode()).items()) == clean


@given(st.text(st.sampled_from("ab=&+%;C3a9zZé"), max_size=30))
def test_queries_agree_with_urllib(raw: str) -> None:
    utf8 = raw.encode().decode("latin-1")
    escaped = "".join(char if ord(char) < 128 else f"%{ord(char):02X}" for char in utf8)
    assert list(QueryParams(utf8).items()) == parse_qsl(escaped, keep_blank_values=True)


@given(st.dictionaries(TOKENS, st.text("!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~", max_size=8), max_size=6))
def test_cookies_come_back_as_they_were_set(cookies: dict[str, str]) -> None:
    sent = [set_cookie(name, value).partition(";")[0] for name, value in cookies.items()]
    assert parse_cookies("; ".join(sent)) == cookies


@given(WIRE | LATIN)
def test_any_cookie_field_is_read(field: str) -> None:
    for name, value in parse_cookies(field).items():
        assert name
        assert name == name.strip(" \t")
        assert value == value.strip(" \t")
        assert ";" not in name + value


@given(
    st.text(max_size=8), st.text(max_size=8), st.none() | st.text(max_size=8), st.none() | st.text(max_size=8)
)
def test_what_set_cookie_lets_through_is_one_cookie(
    name: str, value: str, domain: str | None, path: str | None
) -> None:
    try:
        text = set_cookie(name, value, domain=domain, path=path, http_only=False, same_site=None)
    except LocalProtocolError:
        return
    parts = text.split("; ")
    assert parts[0] == f"{name}={value}"
    assert len(parts) == 1 + (domain is not None) + (path is not None)
    MutableHeaders([("set-cookie", text)])


QUOTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


@given(TOKENS, TOKENS, st.dictionaries(TOKENS.map(str.lower), QUOTABLE, max_size=4))
def test_media_types_survive_the_round_trip(kind: str, subtype: str, parameters: dict[str, str]) -> None:
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    text = f"{kind}/{subtype}" + "".join(f'; {name.upper()}="{value}"' for name, value in quoted.items())
    parsed = parse_media_type(text)
    assert parsed.essence == f"{kind}/{subtype}".lower()
    assert parsed.parameters == parameters


@given(WIRE | LATIN)
def test_any_media_field_is_read_or_refused(field: str) -> None:
    try:
        parse_media_type(field)
    except CodecError:
        assert not is_json(field)
    assert best_match(field, ["a/b", "c/d"]) in ("a/b", "c/d", None)


OFFERS = ["text/html", "text/plain", "image/png"]
RANGES = st.sampled_from(["text/html", "text/plain", "image/png", "text/*", "image/*", "*/*", "a/b"])


@given(st.dictionaries(RANGES, st.integers(0, 10), min_size=1, max_size=5))
def test_best_match_agrees_with_a_table(weights: dict[str, int]) -> None:
    def weight(offer: str) -> int:
        for candidate in (offer, offer.partition("/")[0] + "/*", "*/*"):
            if candidate in weights:
                return weights[candidate]
        return 0

    accept = ", ".join(f"{name};q={tenths / 10}" for name, tenths in weights.items())
    best = max(OFFERS, key=weight)
    assert best_match(accept, OFFERS) == (best if weight(best) else None)


TAGS = st.builds(
    lambda text, weak: quote_etag(text, weak=weak), st.text("ab,W/*\\é", max_size=3), st.booleans()
)


@given(st.lists(TAGS, min_size=1, max_size=5), TAGS)
def test_entity_tags_survive_the_round_trip(tags: list[str], current: str) -> None:
    field = " , ".join(tags)
    assert parse_etags(field) == tags
    assert matches_weak(field, current) == (
        current.removeprefix("W/") in [t.removeprefix("W/") for t in tags]
    )
    assert matches_strong(field, current) == (current in tags and not current.startswith("W/"))


@given(WIRE | LATIN)
def test_any_list_of_tags_is_read_or_refused(field: str) -> None:
    try:
        tags = parse_etags(field)
    except HTTPError:
        return
    assert tags


LIES = st.lists(
    WIRE | st.sampled_from(["10.0.0.1", "6.6.6.6", "[::1]:1", 'for="', "for=6.6.6.6", "for=10.0.0.1", ""]),
    max_size=4,
).map(", ".join)
LIE_LINES = st.lists(LIES, max_size=3)
NETWORKS = ["10.0.0.0/8"]
CLIENT = "203.0.113.7"


@given(LIE_LINES, LIE_LINES, st.booleans())
def test_an_untrusted_peer_cannot_change_who_it_is(
    for_lines: list[str], others: list[str], standard: bool
) -> None:
    proxies = TrustedProxies(NETWORKS, family="forwarded" if standard else "x-forwarded")
    fields = [(name, line) for line in for_lines for name in ("forwarded", "x-forwarded-for")]
    fields += [(name, line) for line in others for name in ("x-forwarded-proto", "x-forwarded-host")]
    assert proxies.resolve(CLIENT, Headers(fields)) == Seen(None, None, None)


@given(LIE_LINES, st.integers(0, 3), st.booleans(), st.booleans())
def test_no_lie_to_the_left_changes_what_trusted_proxies_append(
    lies: list[str], inner: int, one_line: bool, standard: bool
) -> None:
    proxies = TrustedProxies(NETWORKS, family="forwarded" if standard else "x-forwarded")
    addresses = [CLIENT, *(f"10.0.0.{number}" for number in range(1, inner + 1))]
    entries = [f"for={address};proto=https;host=a" if standard else address for address in addresses]
    name = "forwarded" if standard else "x-forwarded-for"
    lines = [", ".join([*lies, *entries])] if one_line else [*lies, *entries]
    fields = [(name, line) for line in lines]
    if not standard:
        fields += [("x-forwarded-proto", "https"), ("x-forwarded-host", "a")]
    assert proxies.resolve("10.9.9.9", Headers(fields)) == Seen(CLIENT, "https", "a")
