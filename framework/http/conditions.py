"""Preconditions (RFC 9110 section 13): whether a request still applies to what it was written for."""

from __future__ import annotations

import re
import time
from calendar import timegm
from typing import Final, Literal, NamedTuple

from framework.http.etags import matches_strong, matches_weak
from framework.http.request import Request

__all__ = ["Conditions", "parse_http_date"]

_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_MONTH: Final = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME: Final = "([0-9]{2}):([0-9]{2}):([0-9]{2})"
# The format of today and the two of the past that must still be read (RFC 9110 section 5.6.7). Their zone is GMT.
_fixdate = re.compile(rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) {_MONTH} ([0-9]{{4}}) {_TIME} GMT").fullmatch
_rfc850 = re.compile(rf"[A-Z][a-z]{{5,8}}, ([0-9]{{2}})-{_MONTH}-([0-9]{{2}}) {_TIME} GMT").fullmatch
_asctime = re.compile(rf"[A-Z][a-z]{{2}} {_MONTH} ([ 0-9][0-9]) {_TIME} ([0-9]{{4}})").fullmatch
_DAYS_IN: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_http_date(value: str) -> int | None:
    """The Unix time of an HTTP date in any of its three formats (section 5.6.7); None for what is no date.

    A two-digit year that seems more than 50 years ahead is the last one with these digits.
    """
    if found := _fixdate(value):
        day, month, year, hour, minute, second = found.groups()
    elif found := _rfc850(value):
        day, month, year, hour, minute, second = found.groups()
        this_year = time.gmtime().tm_year
        full = this_year - this_year % 100 + int(year)
        year = str(full - 100 if full > this_year + 50 else full)
    elif found := _asctime(value):
        month, day, hour, minute, second, year = found.groups()
    else:
        return None
    number = _MONTHS.index(month) // 3 + 1
    # 60 is a leap second (RFC 5322 section 3.3), which Unix time counts as the next one.
    if not (
        1 <= int(day) <= _DAYS_IN[number - 1] and int(hour) < 24 and int(minute) < 60 and int(second) <= 60
    ):
        return None
    return timegm((int(year), number, int(day), int(hour), int(minute), int(second)))


class Conditions(NamedTuple):
    """The fields of a request that ask about the representation at hand, read once. None where absent."""

    method: str = "GET"
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None
    range: str | None = None

    @classmethod
    def of(cls, request: Request) -> Conditions:
        """Those of ``request``; what stands on several lines is one list."""
        headers = request.headers
        return cls(
            request.method,
            headers.combined("if-match"),
            headers.combined("if-none-match"),
            headers.get("if-modified-since"),
            headers.get("if-unmodified-since"),
            headers.get("if-range"),
            headers.combined("range"),
        )

    def verdict(self, etag: str | None, modified: int | None) -> Literal[304, 412] | None:
        """What the preconditions answer, in the order of section 13.2.2; None to go on.

        Args:
            etag: of the representation the request selects, quoted.
            modified: when that was last changed, in Unix seconds.

        Raises:
            HTTPError: 400, for a list of entity tags that cannot be read.
        """
        if self.if_match is not None:
            if not matches_strong(self.if_match, etag):
                return 412
        elif _is_newer(modified, self.if_unmodified_since):
            return 412
        reads = self.method in ("GET", "HEAD")
        if self.if_none_match is not None:
            if matches_weak(self.if_none_match, etag):
                return 304 if reads else 412
        elif reads and _is_newer(modified, self.if_modified_since) is False:
            return 304
        return None

    def wanted_range(self, etag: str | None, modified: int | None) -> str | None:
        """The Range field, unless the method has none (section 14.2) or If-Range says that the client's part is of
        another representation (section 13.1.5): then it gets the whole."""
        if self.range is None or self.method != "GET":
            return None
        told = self.if_range
        if told is None or (told == etag and told.startswith('"')):
            return self.range
        return self.range if modified is not None and parse_http_date(told) == modified else None


def _is_newer(modified: int | None, field: str | None) -> bool | None:
    """None where there is nothing to compare: a field that is no date is ignored (sections 13.1.3 and 13.1.4)."""
    since = None if field is None else parse_http_date(field)
    return None if since is None or modified is None else modified > since
