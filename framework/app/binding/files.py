"""Files of a multipart form as parameters: the form is read as it arrives, ahead of the handler, within bounds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any

from framework.app.binding.explain import Missing, chosen_files
from framework.app.binding.parameters import REQUIRED, Parameter
from framework.errors import HTTPError
from framework.http.forms import FormData
from framework.http.multipart import MultipartLimits
from framework.http.multipart_form import MultipartForm, open_form
from framework.http.request import Request

__all__ = ["form_opener", "take_file"]


def form_opener(parameters: Sequence[Parameter]) -> Callable[[Request], AsyncGenerator[MultipartForm, None]]:
    """Opens the form that ``parameters`` are taken from. It is read in flat memory: files past 256 KiB go to the disk,
    those that no parameter asks for are skipped; all are gone when the response was sent.
    """
    files = [one for one in parameters if one.source == "file"]
    sizes = [one.max_size for one in files]
    # The largest of the limits ends the reading early; each file is then held against its own.
    largest = None if None in sizes else max(size for size in sizes if size is not None)
    return partial(_open, MultipartLimits(max_file_size=largest), frozenset(one.key for one in files))


async def _open(
    limits: MultipartLimits, names: frozenset[str], request: Request
) -> AsyncGenerator[MultipartForm, None]:
    if not request.chunked and request.content_length <= 0 and request.field("content-type") is None:
        yield MultipartForm(FormData([]), ())  # no body needs no name
        return
    async with open_form(request, limits, names=names) as form:
        yield form


def take_file(parameter: Parameter, form: MultipartForm) -> Any:
    """The file or the files of ``parameter``, its default where there is none.

    Raises:
        Missing: there is none, and no default.
        HTTPError: 413 for a file that is larger than the parameter allows.
    """
    found = chosen_files(parameter, form)
    for file in found:
        if parameter.max_size is not None and file.size > parameter.max_size:
            raise HTTPError(413, f"a file of the form is larger than {parameter.max_size} bytes")
    if not found:
        if parameter.default is REQUIRED:
            raise Missing(parameter.key)
        return parameter.default
    return found if parameter.many else found[0]
