"""A directory as a handler: what its files are called in URLs, and which of them are nobody's business.

A name is judged before any file system sees it: a UNC path makes Windows log in at the host it names, only by looking.
Then the way down is walked component by component, each opened relative to the one before, so that nothing can be
swapped between check and use.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from framework.errors import HTTPError, SetupError
from framework.http.conditions import Conditions
from framework.http.encodings import preferred_encodings
from framework.http.extensions import media_type_of
from framework.http.files import Delivery, deliver, fingerprint, retrying
from framework.http.openfile import LinkMet, OpenFile, open_file, refusal
from framework.http.ranges import MAX_RANGES
from framework.http.request import Request
from framework.http.response import Response

__all__ = ["StaticFiles", "Symlinks", "is_served_name"]

Symlinks: TypeAlias = Literal["never", "inside", "follow"]

# Control characters, and what some platform takes for a separator or a drive.
_is_refused = re.compile(r"[\x00-\x1f\x7f/\\]|^[A-Za-z]:|^\.{0,2}\Z").search
# On Windows further: streams and wildcards, names it shortens, and devices that are there in every directory.
_is_refused_on_windows = re.compile(
    r'[<>:"|?*]|[. ]\Z|^(?:con|prn|aux|nul|com[0-9\xb9\xb2\xb3]|lpt[0-9\xb9\xb2\xb3]|conin\$|conout\$)(?:\.|\Z)',
    re.IGNORECASE,
).search
_PUBLIC_DOT: Final = ".well-known"  # RFC 8615
_CODINGS: Final[Mapping[str, str]] = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}
_STALE_NS: Final = 2_000_000_000
_DIRECTORY: Final = (
    getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_PATH", os.O_RDONLY)
)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)


class StaticFiles:
    """Serves the files below a directory: ``app.get("/static/{path:path}")(StaticFiles("public").serve)``.

    Args:
        directory: where they are; a relative path starts from the current directory. It may itself be a symbolic
            link, and is looked up for each request, so that a new release can take its place.
        index: the file that answers for a directory; None for none.
        symlinks: below the directory, "never" follows none, "inside" those that lead to a place below the
            directory, "follow" all.
        hidden: whether names that begin with a dot are served; ``.well-known`` always is.
        precompressed: looks for ``name.zst``, ``name.br`` and ``name.gz`` beside a file, and sends the one the
            client likes best. One that is older than the file is left alone.
        cache_control: the Cache-Control field, or a function that is given the path below the directory.
        media_types: extension without its dot, in lower case, to media type; goes before the table of the house.
        fingerprint: makes entity tags, see ``framework.http.files.fingerprint``.
        max_ranges: more ranges in one request answer 416.

    Raises:
        SetupError: there is no such directory, or this platform cannot keep the policy for symbolic links.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        index: str | None = "index.html",
        symlinks: Symlinks = "never",
        hidden: bool = False,
        precompressed: bool = True,
        cache_control: str | Callable[[str], str | None] | None = None,
        media_types: Mapping[str, str] | None = None,
        fingerprint: Callable[[os.stat_result], str] = fingerprint,
        max_ranges: int = MAX_RANGES,
    ) -> None:
        self._root = os.path.abspath(directory)
        if not os.path.isdir(self._root):
            raise SetupError(f"static files: there is no directory {self._root}")
        if symlinks != "follow" and os.open not in os.supports_dir_fd:
            raise SetupError(f"static files: this platform cannot keep symlinks={symlinks!r}, only 'follow'")
        self._index = index
        self._symlinks: Symlinks = symlinks
        self._hidden = hidden
        self._precompressed = precompressed
        self._cache_control = cache_control
        self._media_types = media_types
        self._fingerprint = fingerprint
        self._max_ranges = max_ranges

    async def serve(self, request: Request, path: str) -> Response:
        """Answers ``request`` with the file at ``path`` below the directory.

        A directory is answered by its index, after a redirect that ends its URL with the slash its links count on.

        Args:
            path: segments joined by "/", as the converter ``path`` gives them; it may be anything.

        Raises:
            HTTPError: 404 for what is not there or not to be had, and all that ``FileResponse.open`` raises.
        """
        names = path.split("/")
        wants_directory = not names[-1]
        if wants_directory:
            names.pop()
        # An encoded slash would be a separator here and was none for the policies that saw the request before.
        if not all(map(self._is_served, names)) or "%2F" in request.path:
            raise HTTPError(404)
        if wants_directory:
            if self._index is None:
                raise HTTPError(404)
            names.append(self._index)
        delivery, codings = self._delivery(request, names), self._codings(request)
        attempt = partial(self._answer, names, delivery, codings, None if wants_directory else request)
        return await asyncio.to_thread(retrying, attempt)

    def _is_served(self, name: str) -> bool:
        return is_served_name(name, hidden=self._hidden, windows=os.name == "nt")

    def _delivery(self, request: Request, names: Sequence[str]) -> Delivery:
        control = self._cache_control
        return Delivery(
            media_type_of(names[-1], self._media_types),
            Conditions.of(request),
            fingerprint=self._fingerprint,
            cache_control=control("/".join(names)) if callable(control) else control,
            varies=self._precompressed,
            max_ranges=self._max_ranges,
        )

    def _codings(self, request: Request) -> list[str]:
        if not self._precompressed:
            return []
        return preferred_encodings(request.headers.combined("accept-encoding"), tuple(_CODINGS))

    # -- in a worker thread -----------------------------------------------------------------------------------------

    def _answer(
        self, names: Sequence[str], delivery: Delivery, codings: Sequence[str], request: Request | None
    ) -> Response:
        """The file; or a redirect of ``request``, unless it is None, to the directory that has this name."""
        try:
            file, coding = self._open(names, codings)
        except HTTPError as error:
            if error.status != 404 or request is None or not self._has_index(names):
                raise
            return _redirect(request)
        return deliver(file, delivery if coding is None else replace(delivery, encoding=coding))

    def _has_index(self, names: Sequence[str]) -> bool:
        if self._index is None:
            return False
        try:
            file, _ = self._open([*names, self._index], ())
        except HTTPError:
            return False
        file.close()
        return True

    def _open(self, names: Sequence[str], codings: Sequence[str]) -> tuple[OpenFile, str | None]:
        """The file, or the sibling in the first of ``codings`` that it has, with that coding."""
        if self._symlinks == "follow":
            return _open_variant(os.path.join(self._root, *names), None, codings, follow=True)
        try:
            return self._walk(names, codings)
        except LinkMet:
            if self._symlinks == "never":
                raise
        return self._walk(self._resolve(names), codings)

    def _resolve(self, names: Sequence[str]) -> list[str]:
        """The names that lead to the same file without a link; what is made a link meanwhile is not followed."""
        root = os.path.realpath(self._root)
        real = os.path.realpath(os.path.join(root, *names))
        if os.path.commonpath((root, real)) != root or real == root:
            raise HTTPError(404)
        resolved = os.path.relpath(real, root).split(os.sep)
        if not all(map(self._is_served, resolved)):
            raise HTTPError(404)
        return resolved

    def _walk(self, names: Sequence[str], codings: Sequence[str]) -> tuple[OpenFile, str | None]:
        if len(names) == 1:
            return _open_variant(os.path.join(self._root, names[0]), None, codings, follow=False)
        directory = _open_directory(self._root)
        try:
            for name in names[:-1]:
                parent, directory = directory, _open_directory(name, directory)
                os.close(parent)
            return _open_variant(names[-1], directory, codings, follow=False)
        finally:
            os.close(directory)


def is_served_name(name: str, *, hidden: bool, windows: bool) -> bool:
    """Whether a segment of a path may name a file: it is one name and no more, on the platform it is for."""
    if _is_refused(name) or (windows and _is_refused_on_windows(name)):
        return False
    return hidden or not name.startswith(".") or name == _PUBLIC_DOT


def _open_directory(name: str, parent: int | None = None) -> int:
    flags = _DIRECTORY if parent is None else _DIRECTORY | _NO_FOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except (OSError, ValueError) as error:
        if isinstance(error, NotADirectoryError):
            raise LinkMet from None  # or a file, but which of the two is not worth another question
        raise refusal(error) from None


def _open_variant(
    name: str, directory: int | None, codings: Sequence[str], *, follow: bool
) -> tuple[OpenFile, str | None]:
    if codings:
        sibling = _open_sibling(name, directory, codings, follow=follow)
        if sibling is not None:
            return sibling
    return open_file(name, directory=directory, follow=follow), None


def _open_sibling(
    name: str, directory: int | None, codings: Sequence[str], *, follow: bool
) -> tuple[OpenFile, str] | None:
    try:
        plain = os.stat(name, dir_fd=directory, follow_symlinks=follow)
    except (OSError, ValueError) as error:
        raise refusal(error) from None
    for coding in codings if stat.S_ISREG(plain.st_mode) else ():
        try:
            sibling = open_file(name + _CODINGS[coding], directory=directory, follow=follow)
        except HTTPError:
            continue
        if sibling.stat.st_mtime_ns + _STALE_NS >= plain.st_mtime_ns:
            return sibling, coding
        sibling.close()
    return None


def _redirect(request: Request) -> Response:
    # From the canonical path, which starts with one slash only: "//host" in a Location names another site.
    location = quote(request.path + "/", safe="/%!$&'()*+,;=:@~")
    if request.query_string:
        location += f"?{request.query_string}"
    return Response(status=307, headers={"location": location})
