"""The plugin: describes the app it is installed in, and serves the description and a page to read and try it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from framework.app.binding import Header
from framework.app.built import BuiltRoute
from framework.app.plugin import Setup
from framework.errors import SetupError
from framework.http.etags import matches_weak, quote_etag
from framework.http.response import Response
from framework.plugins.openapi.document import About, build_document
from framework.plugins.openapi.page import content_security_policy, load_assets, page
from framework.plugins.openapi.security import Requirement
from framework.routing import join

__all__ = ["OpenAPI", "OpenAPISettings"]

IfNoneMatch = Annotated[str | None, Header("if-none-match")]
# Shown again only after the server has said that it is still right.
_CHECKED: Final = "no-cache"
_FOREVER: Final = "public, max-age=31536000, immutable"


class OpenAPISettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section ``[openapi]``."""

    enabled: bool = True
    path: Annotated[str, Meta(pattern="^/", description="where the OpenAPI document is")] = "/openapi.json"
    docs_path: Annotated[str, Meta(pattern="^(/|$)", description="where the page is; empty for none")] = (
        "/docs"
    )


class OpenAPI:
    """Serves an OpenAPI 3.1 document of the app's routes, and a page that shows it.

    Installed in an app that others are mounted in, it describes them too; installed in a mounted one, only that.
    The document is made once, when the app is built; what cannot be described is a SetupError then.

    Args:
        title: of the API.
        version: of the API.
        description: CommonMark, at the head of the page.
        info: further members of the Info Object: ``contact``, ``license``, ``termsOfService``.
        servers: where the API is, as URLs or Server Objects; without them it is the host that serves the document.
        tags: descriptions of tags, by name.
        security_schemes: Security Scheme Objects by name, for the route option ``security`` and for ``security``.
        security: the schemes that every operation needs which says nothing else; any one of them will do.
    """

    name = "openapi"
    requires: frozenset[str] = frozenset()
    config_type = OpenAPISettings

    def __init__(
        self,
        title: str = "API",
        version: str = "0.1.0",
        *,
        description: str = "",
        info: Mapping[str, Any] | None = None,
        servers: Sequence[str | Mapping[str, Any]] = (),
        tags: Mapping[str, str] | None = None,
        security_schemes: Mapping[str, Mapping[str, Any]] | None = None,
        security: Sequence[Requirement] = (),
    ) -> None:
        self.about = About(
            title=title,
            version=version,
            description=description,
            info=info or {},
            servers=servers,
            tags=tags or {},
            security_schemes=security_schemes or {},
            security=security,
        )

    def setup(self, setup: Setup, config: OpenAPISettings) -> None:
        """Records the routes of the document and of the page; the document itself waits for the end of the build."""
        if not config.enabled:
            return
        served = _Served()
        setup.on_built(lambda routes: served.put(self.document(routes)))
        routes = setup.routes()
        routes.get(config.path, include_in_schema=False)(served.document)
        if config.docs_path:
            self._add_page(setup, config)

    def document(self, routes: Sequence[BuiltRoute]) -> bytes:
        """The document as JSON, for ``runtime.routes`` or some of them.

        Raises:
            SetupError: what cannot be described.
        """
        try:
            return msgspec.json.encode(build_document(routes, self.about))
        except SetupError as error:
            raise SetupError([f"OpenAPI: {problem}" for problem in error.problems]) from error

    def _add_page(self, setup: Setup, config: OpenAPISettings) -> None:
        assets = load_assets()
        at = config.docs_path.removesuffix("/") or "/"
        folder = join(at, f"/assets/{assets.version}")
        html = page(self.about.title, at=at, document=config.path, assets=assets, folder=folder).encode()
        fields = {
            "cache-control": _CHECKED,
            "content-security-policy": content_security_policy(self.about.servers),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        routes = setup.routes()
        routes.get(at, include_in_schema=False)(_file(html, "text/html; charset=utf-8", fields))
        for name, (content, media_type) in assets.files.items():
            fields = {"cache-control": _FOREVER, "x-content-type-options": "nosniff"}
            routes.get(f"{folder}/{name}", include_in_schema=False)(_file(content, media_type, fields))


class _Served:
    """The document of one built app, and its entity tag."""

    def __init__(self) -> None:
        self._body = b""
        self._etag = ""

    def put(self, body: bytes) -> None:
        self._body = body
        self._etag = quote_etag(_digest(body))

    def document(self, if_none_match: IfNoneMatch = None) -> Response:
        return _answer(self._body, "application/json", {"cache-control": _CHECKED}, self._etag, if_none_match)


def _file(content: bytes, media_type: str, fields: Mapping[str, str]) -> Callable[..., Response]:
    etag = quote_etag(_digest(content))

    def file(if_none_match: IfNoneMatch = None) -> Response:
        return _answer(content, media_type, fields, etag, if_none_match)

    return file


def _answer(
    body: bytes, media_type: str, fields: Mapping[str, str], etag: str, if_none_match: str | None
) -> Response:
    headers = {**fields, "etag": etag}
    if if_none_match is not None and matches_weak(if_none_match, etag):
        return Response(status=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


def _digest(content: bytes) -> str:
    return hashlib.blake2s(content, digest_size=12).hexdigest()
