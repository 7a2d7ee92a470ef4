"""Media types by file extension: a fixed table, so that no file of the machine decides what a browser executes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["MEDIA_TYPES", "OCTET_STREAM", "media_type_of"]

OCTET_STREAM: Final = "application/octet-stream"
_TEXT: Final = "; charset=utf-8"

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "7z": "application/x-7z-compressed",
        "aac": "audio/aac",
        "apng": "image/apng",
        "atom": "application/atom+xml",
        "avi": "video/x-msvideo",
        "avif": "image/avif",
        "bmp": "image/bmp",
        "br": OCTET_STREAM,
        "bz2": "application/x-bzip2",
        "css": "text/css" + _TEXT,
        "csv": "text/csv" + _TEXT,
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "eot": "application/vnd.ms-fontobject",
        "epub": "application/epub+zip",
        "flac": "audio/flac",
        "geojson": "application/geo+json",
        "gif": "image/gif",
        "glb": "model/gltf-binary",
        "gltf": "model/gltf+json",
        "gz": "application/gzip",
        "heic": "image/heic",
        "htm": "text/html" + _TEXT,
        "html": "text/html" + _TEXT,
        "ico": "image/vnd.microsoft.icon",
        "ics": "text/calendar" + _TEXT,
        "jpeg": "image/jpeg",
        "jpg": "image/jpeg",
        "js": "text/javascript" + _TEXT,
        "json": "application/json",
        "jsonl": "application/jsonl",
        "jsonld": "application/ld+json",
        "jxl": "image/jxl",
        "log": "text/plain" + _TEXT,
        "m3u8": "application/vnd.apple.mpegurl",
        "m4a": "audio/mp4",
        "map": "application/json",
        "md": "text/markdown" + _TEXT,
        "mjs": "text/javascript" + _TEXT,
        "mkv": "video/matroska",
        "mov": "video/quicktime",
        "mp3": "audio/mpeg",
        "mp4": "video/mp4",
        "mpd": "application/dash+xml",
        "mpeg": "video/mpeg",
        "odp": "application/vnd.oasis.opendocument.presentation",
        "ods": "application/vnd.oasis.opendocument.spreadsheet",
        "odt": "application/vnd.oasis.opendocument.text",
        "oga": "audio/ogg",
        "ogg": "audio/ogg",
        "ogv": "video/ogg",
        "opus": "audio/ogg",
        "otf": "font/otf",
        "pdf": "application/pdf",
        "png": "image/png",
        "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "rss": "application/rss+xml",
        "rtf": "application/rtf",
        "svg": "image/svg+xml",
        "tar": "application/x-tar",
        "tgz": "application/gzip",
        "tif": "image/tiff",
        "tiff": "image/tiff",
        "toml": "application/toml",
        "ts": "video/mp2t",
        "tsv": "text/tab-separated-values" + _TEXT,
        "ttf": "font/ttf",
        "txt": "text/plain" + _TEXT,
        "vtt": "text/vtt" + _TEXT,
        "wasm": "application/wasm",
        "wav": "audio/wav",
        "weba": "audio/webm",
        "webm": "video/webm",
        "webmanifest": "application/manifest+json",
        "webp": "image/webp",
        "woff": "font/woff",
        "woff2": "font/woff2",
        "xhtml": "application/xhtml+xml",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml": "application/xml",
        "xz": "application/x-xz",
        "yaml": "application/yaml",
        "yml": "application/yaml",
        "zip": "application/zip",
        "zst": "application/zstd",
    }
)
"""Extension without its dot, in lower case, to the media type that IANA or common use has for it."""


def media_type_of(name: str, own: Mapping[str, str] | None = None) -> str:
    """The media type of a file called ``name``; ``application/octet-stream`` where its extension says nothing.

    ``page.tar.gz`` is gzip, not a tar archive with a content coding: the client asked for the file as it is.

    Args:
        own: extension without its dot, in lower case, to media type; goes before the table.
    """
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem:
        return OCTET_STREAM
    extension = extension.lower()
    return (own or {}).get(extension) or MEDIA_TYPES.get(extension, OCTET_STREAM)
