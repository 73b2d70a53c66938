"""Chromium's fixtures: one browser for each way to treat cookies, and pages on which no script may
fail."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from tests.browsers import CHROMIUM, Cookies, chromium, program

BLOCKED: Final[Cookies] = "third-party blocked"

OURS: Final = re.compile("/-/(?!s/)")
"""A script of the gate's own in a stack, rather than one of the site in a session in the path."""

OpenPage = Callable[[Cookies], Page]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    program(*CHROMIUM)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def contexts(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Cookies], BrowserContext]]:
    """One Chromium for each way to treat cookies, started when it is first asked for."""
    started: dict[Cookies, BrowserContext] = {}

    def context(cookies: Cookies) -> BrowserContext:
        if cookies not in started:
            profile = tmp_path_factory.mktemp("chromium")
            started[cookies] = chromium(playwright, profile, cookies)
        return started[cookies]

    yield context
    for browser in started.values():
        browser.close()


@pytest.fixture
def open_page(contexts: Callable[[Cookies], BrowserContext]) -> Iterator[OpenPage]:
    """An empty page in a browser that remembers nothing; no script on it may fail."""
    failures: list[str] = []
    pages: list[Page] = []

    def new(cookies: Cookies) -> Page:
        context = contexts(cookies)
        context.clear_cookies()
        context.set_offline(False)
        page = context.new_page()
        page.on("pageerror", lambda failure: failures.append(f"{failure} {failure.stack}"))
        pages.append(page)
        return page

    yield new
    for page in pages:
        page.close()
    # a page that is left while it loads gives up what its own scripts were fetching
    left = [each for each in failures if "Failed to fetch" in each and not OURS.search(each)]
    assert failures == left, failures


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page(BLOCKED)
