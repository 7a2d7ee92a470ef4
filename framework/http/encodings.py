"""The choice of a content coding by Accept-Encoding (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["parse_accept_encoding", "preferred_encodings"]

_MAX_ELEMENTS: Final = 32
_element = re.compile(
    r"[ \t]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)(?:[ \t]*+;[ \t]*+[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*+"
).fullmatch
# Section 8.4.1.3: an old name that recipients are to take for gzip.
_ALIASES: Final = {"x-gzip": "gzip"}


def parse_accept_encoding(field: str) -> dict[str, float]:
    """The weight of each coding that the field names, in lower case; of equal names the first holds.

    Elements that break the grammar are skipped, as are those after the 32nd.
    """
    weights: dict[str, float] = {}
    for text in field.split(",", _MAX_ELEMENTS)[:_MAX_ELEMENTS]:
        found = _element(text)
        if found is not None:
            name = found[1].lower()
            weights.setdefault(_ALIASES.get(name, name), float(found[2] or 1.0))
    return weights


def preferred_encodings(field: str | None, offers: Sequence[str]) -> list[str]:
    """The codings among ``offers`` to use rather than none, best first; equal ones in the order they are offered.

    Without the field the client says nothing, which many old ones mean as "none": the list is empty then.

    Args:
        field: the field's lines joined by commas.
        offers: names of codings in lower case.
    """
    if not field:
        return []
    weights = parse_accept_encoding(field)
    rest = weights.get("*", 0.0)
    # Not named, "identity" is acceptable but nobody's wish, whatever "*" says.
    floor = weights.get("identity", 0.0)
    liked = [(weights.get(offer, rest), offer) for offer in offers]
    liked.sort(key=lambda pair: -pair[0])
    return [offer for weight, offer in liked if weight > 0 and weight >= floor]
