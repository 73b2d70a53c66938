"""What a reader sees, in real browsers: the portal on one site, the gate in its frame on another.

Chromium blocks third-party cookies here unless a test says otherwise; Firefox is as it comes. All
tests are synchronous: Playwright keeps a loop of its own in this thread.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.browsers import (
    PATIENCE,
    By,
    Cookies,
    Marionette,
    Sites,
    Wait,
    errors,
    firefox,
    frame_in,
    screenshot,
    two_sites,
)
from tests.chromium import BLOCKED, OpenPage

COOKIE: Final = "__Host-gate"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    with two_sites(tmp_path_factory.mktemp("sites")) as sites:
        yield sites


def sign_in(page: Page, sites: Sites, person: str = "colleague") -> Frame:
    """As one of the demo's people; the frame of the portal's documentation page."""
    page.goto(sites.portal + "/sign-in")
    page.click(f"button[value={person}]")
    page.wait_for_url(sites.portal + "/docs")
    page.goto(sites.portal + "/docs-frame")
    return frame_in(page)


def expect_page(frame: Frame, title: str) -> None:
    expect(frame.locator("h1")).to_contain_text(title)


def expect_handbook(frame: Frame) -> None:
    expect_page(frame, "Docs Gate")


def follow(frame: Frame, text: str) -> None:
    frame.locator(".md-content").get_by_role("link", name=text).first.click()


def shoot(page: Page, name: str) -> None:
    screenshot(name.replace(" ", "-"), lambda path: page.screenshot(path=path))


@pytest.mark.parametrize("cookies", ["allowed", BLOCKED])
def test_the_first_page_opens_and_its_links_do(
    open_page: OpenPage, sites: Sites, cookies: Cookies
) -> None:
    page = open_page(cookies)
    frame = sign_in(page, sites)
    expect_handbook(frame)
    assert frame.url == sites.gate + "/"
    shoot(page, f"first-page-{cookies}")
    follow(frame, "Getting started")
    expect_page(frame, "Getting started")
    assert frame.url == sites.gate + "/getting-started/"
    shoot(page, f"link-{cookies}")


def test_the_cookie_is_kept_for_this_portal_alone(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    (cookie,) = [dict(c) for c in page.context.cookies() if c.get("name") == COOKIE]
    wanted = {
        "domain": "127.0.0.1",
        "path": "/",
        "secure": True,
        "httpOnly": True,
        "sameSite": "None",
        "partitionKey": "http://localhost",
    }
    assert {name: cookie.get(name) for name in wanted} == wanted
    page.goto(sites.gate + "/")
    expect_page(page.main_frame, "Please come in through the portal")
    shoot(page, "in-a-tab-of-its-own")


def test_links_are_followed_without_a_full_load(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    frame.evaluate("window.mark = 'still here'")
    for text, path in (("Getting started", "/getting-started/"), ("Settings", "/settings/")):
        follow(frame, text)
        frame.wait_for_url(sites.gate + path)
        expect_page(frame, text)
    assert frame.evaluate("window.mark") == "still here"


def test_search_finds_and_opens_a_page(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    frame.locator("label[for=__search]:visible").first.click()
    frame.locator(".md-search__input").press_sequentially("idle_timeout")
    found = frame.locator(".md-search-result__link", has_text="timeout").first
    expect(found).to_be_visible()
    shoot(page, "search")
    found.click()
    frame.wait_for_url(re.compile(re.escape(sites.gate) + r"/.*h=idle_timeout"))
    expect(found).to_be_hidden()
    expect(frame.locator(".md-content mark").first).to_have_text("idle_timeout")
    shoot(page, "search-result")


def test_the_frame_is_reloaded(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    follow(frame, "Settings")
    expect_page(frame, "Settings")
    with frame.expect_navigation():
        frame.evaluate("window.mark = 'gone by reloading'; setTimeout(() => location.reload())")
    assert frame.evaluate("window.mark") is None
    expect_page(frame, "Settings")


def test_the_portal_is_reloaded_and_brings_another_token(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    first = page.locator("iframe").get_attribute("src")
    page.reload()
    assert page.locator("iframe").get_attribute("src") != first
    expect_handbook(frame_in(page))


def test_the_portal_is_reloaded_with_the_same_token(page: Page, sites: Sites) -> None:
    html = f'<iframe src="{sites.gate}/?token={sites.token()}"></iframe>'
    page.goto(sites.showing(html, on=sites.plain))
    expect_handbook(frame_in(page))
    page.reload()
    expect_handbook(frame_in(page))


def test_a_former_colleague_reads_why_there_is_nothing(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites, "former-colleague")
    expect_page(frame, "The portal did not let you in")
    assert "handbook" not in frame.content()
    shoot(page, "refused")


def test_signing_out_of_the_portal_ends_what_another_tab_reads(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    tab = page.context.new_page()
    with contextlib.closing(tab):
        tab.goto(sites.portal + "/")
        tab.get_by_role("button", name="Sign out").click()
        tab.wait_for_url(sites.portal + "/sign-in")
    sites.clock.advance(301)  # the verdict is remembered for ttl
    follow(frame, "Settings")
    expect_page(frame, "The portal did not let you in")
    shoot(page, "signed-out-of-the-portal")
    page.reload()
    page.wait_for_url(sites.portal + "/sign-in")


def closing(sites: Sites, source: str) -> str:
    """The address of a portal's page with a frame, and a form that signs out in it."""
    return sites.showing(
        f'<iframe name="docs" src="{sites.gate}{source}"></iframe>'
        f'<form method="post" target="docs" action="{sites.gate}/-/sign-out">'
        "<button>Close</button></form>",
        on=sites.plain,
    )


@pytest.mark.parametrize("cookies", ["allowed", BLOCKED])
def test_a_portals_sign_out_form_ends_the_session(
    open_page: OpenPage, sites: Sites, cookies: Cookies
) -> None:
    page = open_page(cookies)
    page.goto(closing(sites, f"/?token={sites.token()}"))
    frame = frame_in(page)
    expect_handbook(frame)
    page.get_by_role("button", name="Close").click()
    expect_page(frame, "You are signed out")
    shoot(page, "signed-out")
    assert COOKIE not in {cookie.get("name") for cookie in page.context.cookies()}
    frame.goto(sites.gate + "/settings/")
    expect_page(frame, "Please come in through the portal")


def test_the_gates_own_button_signs_out_in_a_frame(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    frame.goto(sites.gate + "/-/sign-out")
    frame.get_by_role("button", name="Sign out").click()
    expect_page(frame, "You are signed out")
    assert COOKIE not in {cookie.get("name") for cookie in page.context.cookies()}


def test_a_renewal_under_way_does_not_bring_back_a_session_that_was_ended(
    page: Page, sites: Sites
) -> None:
    page.goto(closing(sites, f"/?token={sites.token()}"))
    frame = frame_in(page)
    expect_handbook(frame)
    sites.clock.advance(2000)  # more than half the idle time
    with sites.holding("/settings/") as held:
        follow(frame, "Settings")
        held.wait()  # decided, with a new cookie, and not sent yet
        tab = page.context.new_page()
        with contextlib.closing(tab):
            tab.goto(closing(sites, "/-/signed-out"))
            tab.get_by_role("button", name="Close").click()
            sites.log.wait_for("/-/sign-out", "allowed")
            expect_page(frame_in(tab), "You are signed out")
            assert COOKIE not in {cookie.get("name") for cookie in page.context.cookies()}
    expect_page(frame, "Settings")
    assert COOKIE in {cookie.get("name") for cookie in page.context.cookies()}, "it came too late"
    frame.goto(sites.gate + "/operating/")
    expect(frame.locator("h1")).to_have_text(re.compile("Please come in|Your session has run out"))


def test_a_visitors_time_runs_out_until_the_portal_is_reloaded(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites, "visitor")
    expect_handbook(frame)
    sites.clock.advance(61)
    follow(frame, "Getting started")
    expect_page(frame, "The portal did not let you in")
    expect(frame.locator("main")).to_contain_text("Reload the portal page")
    shoot(page, "visitor-after-a-minute")
    page.reload()
    expect_handbook(frame_in(page))


def test_an_idle_session_runs_out_until_the_portal_is_reloaded(page: Page, sites: Sites) -> None:
    frame = sign_in(page, sites)
    expect_handbook(frame)
    sites.clock.advance(3601)
    follow(frame, "Getting started")
    expect_page(frame, "Your session has run out")
    shoot(page, "idle")
    page.reload()
    expect_handbook(frame_in(page))


def test_a_form_brings_the_token_into_the_named_frame(page: Page, sites: Sites) -> None:
    sign_in(page, sites)
    page.goto(sites.portal + "/docs-form")
    token = page.locator("input[name=token]").get_attribute("value") or ""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Open the documentation").click()
    expect_handbook(frame_in(page))
    shoot(page, "form")
    assert sites.gate + "/-/session" in asked
    assert token
    assert not [url for url in asked if token in url]


@pytest.mark.parametrize("cookies", ["allowed", BLOCKED])
def test_a_portal_that_is_not_allowed_shows_nothing(
    open_page: OpenPage, sites: Sites, cookies: Cookies
) -> None:
    page = open_page(cookies)
    sites.log.clear()
    token = sites.token()
    html = (
        f'<iframe name="docs" src="{sites.gate}/operating/?token={token}"></iframe>'
        f'<form method="post" target="docs" action="{sites.gate}/-/session">'
        f'<input name="token" value="{token}"><button>Open</button></form>'
    )
    page.goto(sites.showing(html, on=sites.stranger))
    sites.log.wait_for("/operating/", "forbidden")
    expect(frame_in(page).locator("main h1, .md-content")).to_have_count(0)
    page.get_by_role("button", name="Open").click()
    sites.log.wait_for("/-/session", "forbidden")
    expect(frame_in(page).locator("main h1, .md-content")).to_have_count(0)
    assert page.context.cookies() == []
    shoot(page, f"not-allowed-{cookies}")


def test_a_browser_without_cookies_is_told_so(open_page: OpenPage, sites: Sites) -> None:
    page = open_page("all blocked")
    html = f'<iframe src="{sites.gate}/?token={sites.token()}" width=700 height=500></iframe>'
    page.goto(sites.showing(html, on=sites.plain))
    expect_page(frame_in(page), "Your browser did not remember you")
    shoot(page, "no-cookie")


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marionette]:
    browser = firefox(tmp_path_factory.mktemp("firefox"))
    yield browser
    browser.cleanup()


class Fox:
    """Firefox with the demo portal's documentation page open, looking into its frame."""

    def __init__(self, browser: Marionette, sites: Sites) -> None:
        self._browser = browser
        self._sites = sites

    def sign_in(self) -> None:
        with self._browser.using_context("chrome"):
            self._browser.execute_script("Services.cookies.removeAll();")
        self._browser.navigate(self._sites.portal + "/sign-in")
        self.click("button[value=colleague]")
        self.see("docs-gate")
        self._browser.navigate(self._sites.portal + "/docs-frame")
        self.look_into_the_frame()

    def look_into_the_frame(self) -> None:
        self._browser.switch_to_frame()
        self._until("iframe", "", self._browser.switch_to_frame)

    def see(self, selector: str, text: str = "") -> None:
        """Wait for a visible element that matches and holds the text."""
        self._until(selector, text, lambda element: None)

    def click(self, selector: str, text: str = "") -> None:
        self._until(selector, text, lambda element: element.click())

    def type(self, selector: str, keys: str) -> None:
        self._until(selector, "", lambda element: element.send_keys(keys))

    def _until(self, selector: str, text: str, act: Callable[[Any], object]) -> None:
        """Once there is one, act on it; anew where the page changes in between."""

        def acted(browser: Marionette) -> bool:
            for element in browser.find_elements(By.CSS_SELECTOR, selector):
                if text in element.text and element.is_displayed():
                    act(element)
                    return True
            return False

        wait = Wait(self._browser, PATIENCE, ignored_exceptions=errors.StaleElementException)
        wait.until(acted, message=f"no {selector} with {text!r}")

    def visit(self, path: str) -> None:
        self._browser.execute_script(f"location.href = {path!r}")

    def cookies(self) -> list[str]:
        """The names of those that the gate set, in whatever partition."""
        with self._browser.using_context("chrome"):
            names: list[str] = self._browser.execute_script(
                "return Services.cookies.cookies.filter((e) => e.host === '127.0.0.1')"
                ".map((e) => e.name)"
            )
        return names

    def path(self) -> str:
        url: str = self._browser.execute_script("return location.href")
        return url.removeprefix(self._sites.gate)

    def reload_the_frame(self) -> None:
        """Returns once the new document is complete."""
        self._browser.execute_script("window.mark = 'gone by reloading'; location.reload()")
        script = "return window.mark === undefined && document.readyState === 'complete'"
        Wait(self._browser, PATIENCE).until(lambda browser: browser.execute_script(script))

    def reload_the_portal(self) -> None:
        self._browser.switch_to_frame()
        self._browser.refresh()
        self.look_into_the_frame()

    def shoot(self, name: str) -> None:
        self._browser.switch_to_frame()
        screenshot(
            f"firefox-{name}",
            lambda path: path.write_bytes(self._browser.screenshot(format="binary", full=False)),
        )
        self.look_into_the_frame()


@pytest.fixture
def reader(fox: Marionette, sites: Sites) -> Fox:
    reader = Fox(fox, sites)
    reader.sign_in()
    reader.see("h1", "Docs Gate")
    return reader


def test_firefox_opens_the_first_page_and_its_links(reader: Fox) -> None:
    assert reader.path() == "/"
    reader.shoot("first-page")
    reader.click(".md-content a", "Getting started")
    reader.see("h1", "Getting started")
    assert reader.path() == "/getting-started/"


def test_firefox_searches(reader: Fox) -> None:
    reader.click(".md-header__button[for=__search], .md-search__input")
    reader.type(".md-search__input", "idle_timeout")
    reader.see(".md-search-result__link", "timeout")
    reader.shoot("search")
    reader.click(".md-search-result__link", "timeout")
    reader.see(".md-content mark", "idle_timeout")


def test_firefox_reloads_frame_and_portal(reader: Fox) -> None:
    reader.click(".md-content a", "Getting started")
    reader.see("h1", "Getting started")
    reader.reload_the_frame()
    reader.see("h1", "Getting started")
    reader.reload_the_portal()
    reader.see("h1", "Docs Gate")


def test_firefox_forgets_the_session_in_the_frame_where_it_is_signed_out(reader: Fox) -> None:
    assert reader.cookies() == [COOKIE]
    reader.visit("/-/sign-out")
    reader.click("button", "Sign out")
    reader.see("h1", "You are signed out")
    assert reader.cookies() == []
    reader.visit("/settings/")
    reader.see("h1", "Please come in through the portal")
