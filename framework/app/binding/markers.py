"""Where a handler's parameter comes from, said in its annotation: ``Annotated[str, Header("if-match")]``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Body", "Cookie", "Form", "Header", "Inject", "Marker", "Path", "Query"]


@dataclass(frozen=True, slots=True)
class Marker:
    """``name`` is the name on the wire; the parameter's own when it is empty."""

    name: str = ""


class Path(Marker):
    """A parameter of the route's pattern."""


class Query(Marker):
    """A parameter of the query string; a list type takes all its values."""


class Header(Marker):
    """A request field; an underscore of the parameter's own name reads as a hyphen."""


class Cookie(Marker):
    """A cookie."""


class Body(Marker):
    """The JSON body; a Struct needs no marker."""


class Form(Marker):
    """The fields of an application/x-www-form-urlencoded body as one Struct."""


class Inject(Marker):
    """A dependency, where the type alone does not say so."""
