"""Where a handler's parameter comes from, said in its annotation: ``Annotated[str, Header("if-match")]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["Body", "Cookie", "File", "Form", "Header", "Inject", "Marker", "Path", "Query"]


@dataclass(frozen=True, slots=True)
class Marker:
    """``name`` is the name on the wire; the parameter's own when it is empty. ``source`` is what errors call it."""

    name: str = ""
    source: ClassVar[str] = ""


class Path(Marker):
    """A parameter of the route's pattern."""

    source = "path"


class Query(Marker):
    """A parameter of the query string; a list type takes all its values."""

    source = "query"


class Header(Marker):
    """A request field; an underscore of the parameter's own name reads as a hyphen."""

    source = "header"


class Cookie(Marker):
    """A cookie."""

    source = "cookie"


class Body(Marker):
    """The JSON body; a Struct needs no marker. Takes no name."""

    source = "body"


class Form(Marker):
    """The fields of a form as one Struct: an application/x-www-form-urlencoded body, or beside a ``File`` one of
    multipart/form-data. Takes no name."""

    source = "form"


@dataclass(frozen=True, slots=True)
class File(Marker):
    """A file of a multipart/form-data body, by its name in the form: an ``UploadedFile``, or a list of them for all of
    that name. ``max_size``: bytes of each; without it only the whole body has a limit (the route's ``max_body``).
    """

    max_size: int | None = None
    source: ClassVar[str] = "file"


class Inject(Marker):
    """A dependency, where the type alone does not say so. Takes no name: a qualifier belongs to the type."""

    source = "inject"
