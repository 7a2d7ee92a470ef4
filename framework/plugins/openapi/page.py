"""The docs page: one HTML shell and its assets, all of them files of this package. No foreign host is asked."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["Assets", "content_security_policy", "load_assets", "page"]

_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_ENTRY: Final = "main.js"


@dataclass(frozen=True, slots=True)
class Assets:
    """The files of the page by name, each with its media type, and a hash of all of them.

    The hash is a part of their path, so they can be cached for ever, and the modules among them can import each
    other by relative names that stay as they are.
    """

    version: str
    files: Mapping[str, tuple[bytes, str]]


def load_assets() -> Assets:
    """Reads the files of the page from the package."""
    folder = files("framework.plugins.openapi") / "assets"
    digest = hashlib.blake2s(digest_size=8)
    found: dict[str, tuple[bytes, str]] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        suffix = file.name.rpartition(".")[2]
        if suffix in _TYPES:
            content = file.read_bytes()
            digest.update(file.name.encode() + b"\0" + content + b"\0")
            found[file.name] = (content, _TYPES[suffix])
    return Assets(digest.hexdigest(), found)


def page(title: str, *, at: str, document: str, assets: Assets, folder: str) -> str:
    """The HTML of the page.

    Every link is relative, so that a proxy may put a prefix before all of them.

    Args:
        title: of the API.
        at: the path of the page.
        document: the path of the OpenAPI document.
        folder: the path that the assets are below.
    """
    start = posixpath.dirname(at)
    base = escape(posixpath.relpath(folder, start))
    modules = [name for name in assets.files if name.endswith(".js") and name != _ENTRY]
    preload = "".join(f'<link rel="modulepreload" href="{base}/{name}">\n' for name in modules)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="robots" content="noindex">\n'
        f"<title>{escape(title)}</title>\n"
        f'<link rel="icon" href="{base}/icon.svg">\n<link rel="stylesheet" href="{base}/style.css">\n{preload}'
        f'<script type="module" src="{base}/{_ENTRY}"></script>\n'
        f'<body data-document="{escape(posixpath.relpath(document, start))}">\n'
        "<noscript>This page needs JavaScript; the "
        f'<a href="{escape(posixpath.relpath(document, start))}">OpenAPI document</a> does not.</noscript>\n'
        "</body>\n</html>\n"
    )


def content_security_policy(servers: Sequence[str | Mapping[str, Any]] = ()) -> str:
    """What the page may do: load its own files, and send requests to its own host and to the declared servers."""
    urls = [one if isinstance(one, str) else str(one.get("url", "")) for one in servers]
    origins = {
        f"{url.scheme}://{url.netloc}" for url in map(urlsplit, urls) if url.scheme in ("http", "https")
    }
    connect = " ".join(["'self'", *sorted(one for one in origins if not set(one) & set("{};, '\""))])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
