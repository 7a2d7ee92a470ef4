"""The shapes of problem documents (RFC 9457), for the schema alone: ``framework.http.problem`` writes them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

__all__ = ["FieldFault", "Problem", "ValidationProblem"]


class Problem(Struct, kw_only=True):
    """What went wrong (RFC 9457). Some kinds of problem have further members."""

    type: Annotated[str, Meta(description="names the kind of problem", examples=["about:blank"])]
    title: Annotated[str, Meta(description="the kind of problem in words")]
    status: Annotated[int, Meta(ge=400, le=599, description="the status code of the response")]
    detail: Annotated[str, Meta(description="what went wrong this time")] | UnsetType = UNSET


class FieldFault(Struct, kw_only=True):
    """One fault of a request."""

    source: Annotated[str, Meta(description="path, query, header, cookie, body or form")] = field(name="in")
    pointer: Annotated[
        str, Meta(description="the place in it, as JSON Pointer (RFC 6901)", examples=["/email"])
    ]
    detail: Annotated[str, Meta(description="what is wrong there")]


class ValidationProblem(Problem, kw_only=True):
    """Every fault of a request at once."""

    errors: list[FieldFault]
