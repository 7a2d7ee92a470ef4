"""The page a browser gets for an unexpected error in development. Escaped, without scripts or foreign hosts."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from framework.http.request import Request

__all__ = ["debug_page"]

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2126; --paper: #f6f7f9; --card: #fff; --dim: #5b6570; --line: #dfe3e8;
  --hot: #b3261e; --glow: #fdecea; --link: #1f5fbf; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #121417; --card: #1a1d21; --dim: #98a2ad;
  --line: #2d3238; --hot: #ff8a80; --glow: #3a2020; --link: #8ab8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
header { background: var(--card); border-top: .3rem solid var(--hot); border-bottom: 1px solid var(--line); }
header > div, main { margin: 0 auto; max-width: 64rem; padding: 1.25rem 1rem; }
h1 { color: var(--hot); font-size: 1.15rem; margin: 0; }
.message { font-size: 1.5rem; font-weight: 600; line-height: 1.3; margin: .25rem 0 .75rem; overflow-wrap: anywhere;
  white-space: pre-wrap; }
h2 { font-size: 1.05rem; margin: 1.75rem 0 .6rem; overflow-wrap: anywhere; }
p { color: var(--dim); margin: .25rem 0; overflow-wrap: anywhere; }
code, pre { font: .85rem/1.55 ui-monospace, Menlo, Consolas, monospace; }
.frame, details, table { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.frame, details { margin: .5rem 0; overflow: hidden; }
.place { display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .45rem .8rem; }
.place b { overflow-wrap: anywhere; } .place span { color: var(--dim); overflow-wrap: anywhere; }
pre { border-top: 1px solid var(--line); margin: 0; overflow-x: auto; padding: .5rem 0; }
pre span { display: block; min-width: max-content; padding: 0 .8rem; }
pre i { color: var(--dim); display: inline-block; font-style: normal; margin-right: 1rem; min-width: 2.5rem;
  text-align: right; user-select: none; }
pre .at { background: var(--glow); box-shadow: inset .2rem 0 var(--hot); }
summary { color: var(--link); cursor: pointer; padding: .45rem .8rem; }
details > .frame { border-width: 1px 0 0; border-radius: 0; margin: 0; }
details > pre { padding: .8rem; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; table-layout: fixed; width: 100%; }
th, td { overflow-wrap: anywhere; padding: .35rem .8rem; text-align: left; vertical-align: top; }
tr + tr > * { border-top: 1px solid var(--line); }
th { color: var(--dim); font-weight: 500; width: 12rem; }
@media (max-width: 34rem) { .message { font-size: 1.2rem; } th { width: 8.5rem; } th, td { padding: .35rem .6rem; } }
"""
_SECRETS: Final = ("auth", "cookie", "key", "secret", "session", "token")
_AROUND: Final = 3
_MAX_FRAMES: Final = 40
_MAX_MESSAGE: Final = 2000
_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).parents[1])}
)


def debug_page(request: Request, error: BaseException) -> str:
    """The error, its traceback and the request, as one HTML page. Credentials of the request are left out."""
    report = traceback.TracebackException.from_exception(error)
    kind = escape(type(error).__qualname__)
    message = escape(_clipped(str(report)))
    where = escape(f"{request.method} {request.target}")
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{kind}: {message}</title><style>{_STYLE}</style>",
        f"<header><div><h1>{kind}</h1><div class='message'>{message or '(no message)'}</div>",
        f"<p>{where}</p><p>You see this because the app runs with debug=True.</p></div></header><main>",
        *_chain(report, "Traceback, most recent call last"),
        f"<h2>Request</h2><table>{_request_rows(request)}</table>",
        f"<h2>As text</h2><details><summary>Traceback to copy</summary><pre>{escape(''.join(report.format()))}</pre>",
        "</details></main></html>",
    ]
    return "".join(parts)


def _chain(report: traceback.TracebackException, title: str) -> Iterator[str]:
    """The error, those it groups, then the one that led to it."""
    yield f"<h2>{title}</h2>"
    yield from _frames(report.stack)
    for number, inner in enumerate(report.exceptions or (), 1):
        yield from _chain(inner, f"Part {number} of the group: {_headline(inner)}")
    if report.__cause__ is not None:
        yield from _chain(report.__cause__, f"Caused by {_headline(report.__cause__)}")
    elif report.__context__ is not None and not report.__suppress_context__:
        yield from _chain(report.__context__, f"While handling {_headline(report.__context__)}")


def _headline(report: traceback.TracebackException) -> str:
    lines = list(report.format_exception_only())
    return escape(_clipped(lines[-1].strip() if report.exceptions is None else lines[0].strip()))


def _frames(stack: traceback.StackSummary) -> Iterator[str]:
    """The app's own frames open, each run of a library's folded. What calls itself again and again is told once."""
    libraries: list[str] = []
    runs = [(frame, len(list(same))) for _, same in groupby(stack, _identity) if (frame := next(same))]
    for frame, repeated in runs[-_MAX_FRAMES:]:
        if _is_library(frame.filename) and frame is not runs[-1][0]:
            libraries.append(_frame(frame))
            continue
        yield from _fold(libraries)
        libraries = []
        yield _frame(frame)
        if repeated:
            yield f"<p>and so on, {repeated} more times</p>"
    yield from _fold(libraries)


def _identity(frame: traceback.FrameSummary) -> tuple[str, int | None, str]:
    return frame.filename, frame.lineno, frame.name


def _fold(frames: list[str]) -> Iterator[str]:
    if frames:
        calls = "1 call" if len(frames) == 1 else f"{len(frames)} calls"
        yield f"<details><summary>{calls} in libraries</summary>{''.join(frames)}</details>"


def _frame(frame: traceback.FrameSummary) -> str:
    lines = list(_source(frame.filename, frame.lineno or 0))
    code = f"<pre>{''.join(lines)}</pre>" if lines else ""
    place = f"{escape(_shortened(frame.filename))}, line {frame.lineno}"
    return f"<div class='frame'><div class='place'><b>{escape(frame.name)}</b><span>{place}</span></div>{code}</div>"


def _source(file: str, number: int) -> Iterator[str]:
    around = {at: linecache.getline(file, at) for at in range(max(1, number - _AROUND), number + _AROUND + 1)}
    written = [at for at, line in around.items() if line.strip()]
    for at in range(written[0], written[-1] + 1) if written else ():
        mark = " class='at'" if at == number else ""
        yield f"<span{mark}><i>{at}</i>{escape(around[at].rstrip()) or ' '}</span>"


def _is_library(file: str) -> bool:
    """The standard library, what is installed, this package, compiled or generated code."""
    return file.startswith(("<", *_LIBRARIES)) or file.endswith(".pyx")


def _shortened(file: str) -> str:
    here = os.getcwd() + os.sep
    return file.removeprefix(here)


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"


def _request_rows(request: Request) -> str:
    rows = [("route", request.endpoint.pattern or "none"), ("request id", request.id)]
    rows += [(name, "(hidden)" if _is_secret(name) else value) for name, value in request.headers.items()]
    return "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)


def _is_secret(name: str) -> bool:
    return any(part in name for part in _SECRETS)
