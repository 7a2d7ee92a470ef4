"""The lines of HTTP/1.1 as regular expressions (RFC 9112, RFC 3986).

They take time to compile, and a server with the compiled leaves does without them.
"""

from __future__ import annotations

import re

from framework.wire._pure_grammar import TCHAR, VCHARS

__all__ = ["AUTHORITY", "BLOCK", "FACTUAL", "PLAIN_PATH", "REQUEST_LINE", "STATUS_LINE", "USERINFO"]

_REG_NAME = r"A-Za-z0-9\-._~!$&'()*+,;="
_NAMED = rf"(?:[{_REG_NAME}]|%[0-9A-Fa-f]{{2}})"
_SEGMENT = rf"/(?![/.])[{_REG_NAME}:@]*+"

_H16 = r"[0-9A-Fa-f]{1,4}"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_LS32 = rf"(?:{_H16}:{_H16}|{_OCTET}(?:\.{_OCTET}){{3}})"
_IPV6 = "|".join(
    [
        rf"(?:{_H16}:){{6}}{_LS32}",
        rf"::(?:{_H16}:){{5}}{_LS32}",
        *(rf"(?:(?:{_H16}:){{0,{n}}}{_H16})?::(?:{_H16}:){{{4 - n}}}{_LS32}" for n in range(5)),
        rf"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
        rf"(?:(?:{_H16}:){{0,6}}{_H16})?::",
    ]
)

AUTHORITY = re.compile(rf"(?:\[(?:{_IPV6})\]|{_NAMED}*+)(?::[0-9]{{0,5}})?").fullmatch
USERINFO = re.compile(rf"(?:{_NAMED}|:)*+").fullmatch
PLAIN_PATH = re.compile(rf"(?:{_SEGMENT})*+").fullmatch

# A request line up to its minor version: method; target in origin-form without a fragment; its path where plain;
# its path otherwise; its query.
REQUEST_LINE = re.compile(
    rf"(?!CONNECT )({TCHAR}{{1,32}}+) "
    rf"((?:((?:{_SEGMENT})++)(?=[? ])|(/[!\"$->@-~]*+))(?:\?([!\"$-~]*+))?+) HTTP/1\."
).fullmatch

# What follows it up to the empty line, in bytes: minor version and all field lines.
BLOCK = re.compile(rf"[0-9]\r\n(?:{TCHAR}++:{VCHARS}*+\r\n)*+".encode("latin-1")).fullmatch

# A status line: minor version; status; reason.
STATUS_LINE = re.compile(rf"HTTP/1\.([0-9]) ([1-9][0-9]{{2}}) ({VCHARS}*+)").fullmatch

# The fields of a lower-case block that say more than themselves.
FACTUAL = re.compile(
    rb"\n(host|expect|upgrade|connection|content-length|transfer-encoding):[ \t]*+([^\r]*+)"
).findall
