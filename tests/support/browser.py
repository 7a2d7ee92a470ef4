"""Chromium for tests of pages. Without it such a test is skipped, but in CI it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import ConsoleMessage, Page, async_playwright

__all__ = ["Visit", "browsing", "needs_chromium"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="no Chromium here (apt-get install chromium)"
)


@dataclass
class Visit:
    """A page, what it complained of, and the hosts that it asked for something."""

    page: Page
    complaints: list[str] = field(default_factory=list[str])
    hosts: set[str] = field(default_factory=set[str])

    def heard(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)


@asynccontextmanager
async def browsing(*, width: int = 1280, height: int = 900, **context: Any) -> AsyncIterator[Visit]:
    """A page in a Chromium of its own; ``context`` is Playwright's, such as ``color_scheme="dark"``."""
    if CHROMIUM is None:
        pytest.fail("CI must install Chromium")
    async with async_playwright() as playwright:
        # Its sandbox does not run for root.
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            opened = await browser.new_context(viewport={"width": width, "height": height}, **context)
            visit = Visit(await opened.new_page())
            visit.page.on("console", visit.heard)
            visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
            visit.page.on("request", lambda request: visit.hosts.add(urlsplit(request.url).netloc))
            yield visit
        finally:
            await browser.close()
