"""Chromium without a window, for what only a browser shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PHONE, DESKTOP = 390, 1440
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    # It is often root that runs tests, and nothing but our own pages is opened.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SERIOUS = {"serious", "critical"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; the test is skipped where this machine has none."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("Chromium is not installed: on Debian, apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*_OPTIONS])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(
    browser: Browser, url: str, *, width: int = DESKTOP, scheme: str = "light"
) -> Iterator[Page]:
    """A page by itself: no cookies but its own, and every fault of its scripts is a failure.

    Args:
        browser: where it is opened.
        url: of the page.
        width: of the window, in pixels.
        scheme: `light` or `dark`.
    """
    dark = scheme == "dark"
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
    )
    try:
        page.goto(url)
        yield page
        assert not faults
    finally:
        context.close()


def serious_findings(page: Page) -> list[str]:
    """What axe-core finds serious or critical on it, by rule, with the element."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['any'][:1] and node['any'][0]['message']}"
        for one in found
        if one["impact"] in _SERIOUS
        for node in one["nodes"]
    ]


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    wider: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider


def layout_shift(page: Page) -> float:
    """Cumulative layout shift since it was opened."""
    moved: float = page.evaluate(
        """() => new Promise((done) => {
          let sum = 0;
          new PerformanceObserver((list) => {
            for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value;
          }).observe({type: 'layout-shift', buffered: true});
          setTimeout(() => done(sum), 300);
        })"""
    )
    return moved
