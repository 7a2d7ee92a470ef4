"""The page a browser gets for an unexpected error in development. Escaped, without scripts or foreign hosts."""

from __future__ import annotations

import traceback
from html import escape
from typing import Final

from framework.http.request import Request

__all__ = ["debug_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --dim: #666d75; --line: #e3e5e8; --hot: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e7e9; --paper: #15171a; --dim: #9aa1a9; --line: #2c3036; --hot: #ff8a80; }
}
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { color: var(--hot); font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }
p { color: var(--dim); }
pre { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; padding: 1rem; font-size: .85rem; }
table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; vertical-align: top; border-top: 1px solid var(--line); padding: .3rem .6rem .3rem 0;
  overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; }
"""
_HIDDEN: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


def debug_page(request: Request, error: BaseException) -> str:
    """The error, its traceback and the request, as one HTML page. Credentials of the request are left out."""
    text = "".join(traceback.format_exception(error))
    rows = [("route", request.endpoint.pattern or "none"), ("request id", request.id)]
    rows += [(name, "(hidden)" if name in _HIDDEN else value) for name, value in request.headers.items()]
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    title = escape(f"{type(error).__name__}: {error}")
    where = escape(f"{request.method} {request.target}")
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{where}: shown because the app runs with debug=True.</p>"
        f"<pre>{escape(text)}</pre><table>{table}</table></html>"
    )
