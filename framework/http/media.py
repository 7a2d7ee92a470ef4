"""Media types (RFC 9110 section 8.3.1) and the choice of one by Accept (section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from framework.errors import CodecError

__all__ = ["MediaType", "best_match", "is_json", "parse_media_type"]

_MAX_RANGES: Final = 100

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_essence = re.compile(rf"({_TOKEN})/({_TOKEN})").match
# A parameter may be empty: "a/b;;c=d" (section 5.6.6).
_parameter = re.compile(
    rf"[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|\"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+)\"))?+"
).match
_elements = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+")++').finditer
_is_weight = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch


class MediaType(NamedTuple):
    """Type, subtype and the parameters' names are in lower case, the parameters' values as they were sent."""

    type: str
    subtype: str
    parameters: Mapping[str, str]

    @property
    def essence(self) -> str:
        return f"{self.type}/{self.subtype}"


def parse_media_type(value: str) -> MediaType:
    """Reads a media type with its parameters, quoted or not.

    Raises:
        CodecError: it breaks the grammar, or names a parameter twice, which two readers may take two ways.
    """
    text = value.strip(" \t")
    found = _essence(text)
    if found is None:
        raise CodecError("malformed media type")
    parameters: dict[str, str] = {}
    end = found.end()
    while end < len(text):
        parameter = _parameter(text, end)
        if parameter is None or (parameter[1] or "").lower() in parameters:
            raise CodecError("malformed media type", end)
        if parameter[1]:
            quoted = parameter[3]
            parameters[parameter[1].lower()] = (
                parameter[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            )
        end = parameter.end()
    return MediaType(found[1].lower(), found[2].lower(), parameters)


def is_json(media_type: str) -> bool:
    """Whether a Content-Type says JSON: ``application/json``, or a suffix ``+json`` (RFC 6839)."""
    if media_type == "application/json":
        return True
    try:
        parsed = parse_media_type(media_type)
    except CodecError:
        return False
    return parsed.essence == "application/json" or parsed.subtype[1:].endswith("+json")


def best_match(accept: str | None, offers: Sequence[str]) -> str | None:
    """The offer that an Accept field likes best; among equals the first, so order them by your own liking.

    Each offer has the weight of the most specific range that matches it: with parameters, then ``a/b``,
    ``a/*``, ``*/*``. Elements that break the grammar are skipped, as are those after the hundredth; without
    a valid one the field says nothing, and the first offer is taken.

    Args:
        accept: the field's lines joined by commas, None when there is none.
        offers: media types.

    Returns:
        None when none of the offers is acceptable: answer 406, or send what you have.
    """
    ranges = _ranges(accept or "")
    if not ranges:
        return offers[0] if offers else None
    weighted = [(_weight(parse_media_type(offer), ranges), offer) for offer in offers]
    weight, offer = max(weighted, key=lambda pair: pair[0], default=(0.0, None))
    return offer if weight > 0 else None


def _ranges(accept: str) -> list[tuple[MediaType, float]]:
    ranges: list[tuple[MediaType, float]] = []
    for element in islice(_elements(accept), _MAX_RANGES):
        try:
            media, parameters, values = parse_media_type(element[0])
        except CodecError:
            continue
        wanted = dict(values)
        weight = wanted.pop("q", "1")
        if _is_weight(weight) and (media != "*" or parameters == "*"):
            ranges.append((MediaType(media, parameters, wanted), float(weight)))
    return ranges


def _weight(offer: MediaType, ranges: list[tuple[MediaType, float]]) -> float:
    best, weight = -1, 0.0
    for wanted, candidate in ranges:
        fits = wanted.type in ("*", offer.type) and wanted.subtype in ("*", offer.subtype)
        if fits and all(
            offer.parameters.get(name, "").lower() == value.lower()
            for name, value in wanted.parameters.items()
        ):
            specificity = (wanted.type != "*") + (wanted.subtype != "*") + len(wanted.parameters)
            if specificity > best:
                best, weight = specificity, candidate
    return weight
