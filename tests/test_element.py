"""The element and its shell in Chromium: renewal, recovery, events, what a portal can ask of it.

The gate's clock is fake, and the shell's is moved on where time has to pass there.
"""

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web
from playwright.sync_api import Frame, Page, expect

from tests.browsers import frame_in, screenshot
from tests.chromium import OpenPage
from tests.drivers import started_firefox
from tests.portals import HOUR, STYLE, Embedding, element, embedding, hand_made

INSIDE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    with embedding(tmp_path_factory.mktemp("embedding")) as sites:
        yield sites


@pytest.fixture
def sites(servers: Embedding) -> Embedding:
    servers.portal.reset()
    servers.log.clear()
    return servers


class Reader:
    """Someone who reads on a portal's page with one element."""

    def __init__(self, page: Page, sites: Embedding, *, cookieless: bool = False) -> None:
        self.page = page
        self.sites = sites
        self.gate = sites.cookieless if cookieless else sites.gate

    def open(self, path: str = "/", more: str = "", name: str = "") -> None:
        self.page.goto(self.sites.element(self.gate, path=path, more=more, name=name))
        self.hears("ready")

    def hears(self, name: str) -> Any:
        """The first event of that name, once it came."""
        found = f"heard.find(([name]) => name === {name!r})"
        return self.page.wait_for_function(found).json_value()[1]

    def names(self) -> list[str]:
        """The events so far, but for heights, which come when they come."""
        heard: list[list[Any]] = self.page.evaluate("heard")
        return [name for name, _ in heard if name != "height"]

    @property
    def shell(self) -> Frame:
        return frame_in(self.page)

    @property
    def site(self) -> Frame:
        return frame_in(self.shell)

    def sees(self, heading: str) -> None:
        expect(
            self.page.frame_locator("iframe").frame_locator("iframe").locator("h1")
        ).to_contain_text(heading)

    def is_told(self, heading: str) -> None:
        expect(self.shell.locator("main:visible h1")).to_have_text(heading)

    def follow(self, text: str) -> None:
        self.site.locator(".md-content").get_by_role("link", name=text).first.click()

    def later(self, seconds: float) -> None:
        """So much later by the shell's clock, as after a sleep; what it then does is done."""
        self.shell.evaluate(
            "later => { const now = Date.now(); Date.now = () => now + later;"
            " window.dispatchEvent(new Event('focus')) }",
            seconds * 1000,
        )
        self.shell.evaluate("() => renewing")  # waits for it; its policy forbids more

    def is_at(self, path: str) -> None:
        self.page.wait_for_function("path => docs.path === path", arg=path)


@pytest.fixture
def reader(page: Page, sites: Embedding) -> Reader:
    return Reader(page, sites)


@pytest.fixture
def forgetful(open_page: OpenPage, sites: Embedding) -> Reader:
    """In a browser that keeps no cookie at all, at the gate that goes on without."""
    return Reader(open_page("all blocked"), sites, cookieless=True)


@pytest.fixture(params=["cookie", "path"])
def either(request: pytest.FixtureRequest, sites: Embedding) -> Reader:
    # the servers are asked for by name, so that they start before blocking calls are watched
    found: Reader = request.getfixturevalue("reader" if request.param == "cookie" else "forgetful")
    return found


def shoot(page: Page, name: str) -> None:
    screenshot(f"element-{name}", lambda path: page.screenshot(path=path))


# The session


def test_a_session_is_renewed_before_its_end_and_the_reader_notices_nothing(either: Reader) -> None:
    sites = either.sites
    sites.portal.lifetime = 600
    either.open("/settings/")
    either.sees("Settings")
    before = either.site.url
    either.site.evaluate("window.mark = 'still here'; window.scrollTo(0, 900)")
    sites.clock.advance(550)
    either.later(550)
    assert sites.portal.asked == 2
    assert either.site.evaluate("[window.mark, window.scrollY]") == ["still here", 900]
    assert either.names().count("ready") == 1
    assert (either.site.url != before) is (either.gate == sites.cookieless)
    sites.clock.advance(100)
    sites.log.clear()
    either.site.evaluate("document.querySelector('.md-nav a[href*=operating]').click()")
    either.sees("Operating")
    assert "expired" not in sites.log.outcomes()
    assert "refused" not in sites.log.outcomes()


def test_a_session_that_ended_is_begun_anew_at_the_page_that_was_asked_for(either: Reader) -> None:
    either.open()
    either.sees("Docs Gate")
    either.sites.clock.advance(9 * HOUR)
    either.follow("Getting started")
    either.sees("Getting started")
    either.is_at("/getting-started/")
    assert either.sites.portal.asked == 2


def test_a_renewal_that_fails_is_tried_again_while_the_reader_reads_on(reader: Reader) -> None:
    sites = reader.sites
    sites.portal.lifetime = 600
    reader.open()
    sites.portal.instead = lambda: web.Response(status=503)
    reader.later(545)
    assert reader.hears("error")["code"] == "unavailable"
    reader.sees("Docs Gate")
    sites.portal.instead = None
    asked = sites.portal.asked
    reader.later(5)
    assert sites.portal.asked == asked
    reader.later(6)
    assert sites.portal.asked == asked + 1
    reader.sees("Docs Gate")
    reader.later(50)
    assert sites.portal.asked == asked + 1


def test_the_network_drops_while_reading_and_comes_back(either: Reader) -> None:
    page = either.page
    either.open()
    either.sees("Docs Gate")
    page.context.set_offline(True)
    either.follow("Getting started")
    assert either.hears("error")["code"] == "unavailable"
    either.is_told("The documentation cannot be reached")
    shoot(page, "panel-offline")
    page.context.set_offline(False)
    either.sees("Getting started")
    assert either.names().count("ready") == 1


@pytest.mark.parametrize(
    ("answer", "code", "heading"),
    [
        (lambda: web.Response(status=401), "denied", "The portal did not sign you in"),
        (lambda: web.Response(status=403), "denied", "The portal did not sign you in"),
        (
            lambda: web.Response(text="<h1>Sign in</h1>", content_type="text/html"),
            "denied",
            "The portal did not sign you in",
        ),
        (
            lambda: web.json_response({"token": "no token, but words"}),
            "denied",
            "The portal did not sign you in",
        ),
        (lambda: web.json_response({}), "denied", "The portal did not sign you in"),
        (lambda: web.Response(status=500), "unavailable", "The portal does not answer right now"),
        (lambda: web.Response(text="{"), "unavailable", "The portal does not answer right now"),
        (
            lambda: web.json_response({"token": "unknown"}),
            "refused",
            "The portal did not let you in",
        ),
    ],
    ids=["401", "403", "sign-in page", "words", "nothing", "500", "no JSON", "refused"],
)
def test_a_portal_that_says_no_is_asked_again_when_the_reader_wishes(
    reader: Reader, answer: Callable[[], web.Response], code: str, heading: str
) -> None:
    sites = reader.sites
    sites.portal.instead = answer
    reader.page.goto(sites.element(reader.gate))
    assert reader.hears("error")["code"] == code
    reader.is_told(heading)
    assert sites.portal.asked <= 2
    shoot(reader.page, f"panel-{code}")
    sites.portal.instead = None
    reader.shell.locator("main:visible").get_by_role("button", name="Try again").click()
    reader.sees("Docs Gate")
    reader.hears("ready")


def test_tokens_that_are_all_refused_make_no_loop(reader: Reader) -> None:
    page, sites = reader.page, reader.sites
    sites.portal.welcome = False
    page.goto(sites.element(reader.gate))
    reader.is_told("The portal did not let you in")
    assert sites.portal.asked == 2
    reader.later(55)
    assert sites.portal.asked == 2
    reader.later(6)
    assert sites.portal.asked == 4
    reader.later(30)
    assert sites.portal.asked == 4


def test_a_session_that_ends_over_and_over_makes_no_loop(reader: Reader) -> None:
    """Tokens are good at intake, and no page opens with them."""
    page, sites = reader.page, reader.sites
    page.route(
        re.compile(re.escape(sites.gate) + "/(settings/)?$"),
        lambda route: route.fulfill(
            status=401,
            content_type="text/html",
            body='<html data-gate-page="expired"><h1>Your session has run out</h1></html>',
        ),
    )
    page.goto(sites.element(reader.gate))
    reader.is_told("The portal did not let you in")
    assert reader.hears("error")["code"] == "refused"
    assert sites.portal.asked == 2


# Several at once


def test_two_elements_on_a_page_each_have_their_own_page(page: Page, sites: Embedding) -> None:
    html = element(sites.gate) + (
        f'<docs-gate id="second" src="{sites.gate}/settings/" token-url="/token"></docs-gate>'
    )
    page.goto(sites.portal.page(html))
    frames = [page.frame_locator("iframe").nth(each).frame_locator("iframe") for each in (0, 1)]
    expect(frames[0].locator("h1")).to_contain_text("Docs Gate")
    expect(frames[1].locator("h1")).to_contain_text("Settings")
    page.evaluate("docs.open('/operating/')")
    expect(frames[0].locator("h1")).to_contain_text("Operating")
    expect(frames[1].locator("h1")).to_contain_text("Settings")
    page.wait_for_function(
        "docs.path === '/operating/' && document.getElementById('second').path === '/settings/'"
    )


def test_two_tabs_share_a_session_and_outlive_each_others_renewals(
    page: Page, sites: Embedding
) -> None:
    first = Reader(page, sites)
    first.open()
    second = Reader(page.context.new_page(), sites)
    second.open("/settings/")
    second.sees("Settings")
    first.follow("Getting started")
    first.sees("Getting started")
    sites.clock.advance(9 * HOUR)
    second.page.evaluate("docs.open('/operating/')")
    second.sees("Operating")
    first.page.bring_to_front()
    first.page.evaluate("docs.open('/security/')")
    first.sees("Security model")
    second.page.close()


# Events, and what the portal can ask for


def test_the_events_come_in_order_with_their_details(reader: Reader) -> None:
    reader.open()
    reader.hears("navigate")
    assert reader.names() == ["need-token", "ready", "navigate"]
    assert reader.hears("need-token") == {}
    assert reader.hears("ready") == {"path": "/", "title": "Docs Gate", "cookieless": False}
    assert reader.hears("height")["height"] > 1000
    reader.follow("Getting started")
    reader.is_at("/getting-started/")
    last = reader.page.evaluate("heard.filter(([name]) => name === 'navigate').at(-1)[1]")
    assert last == {"path": "/getting-started/", "title": "Getting started - Docs Gate"}
    assert reader.page.evaluate("docs.pageTitle") == "Getting started - Docs Gate"


def test_open_shows_another_page_and_a_part_of_it(either: Reader) -> None:
    either.open()
    either.page.evaluate("docs.open('/settings/#session')")
    either.sees("Settings")
    either.is_at("/settings/#session")
    assert either.site.evaluate("window.scrollY") > 100


TOLD = "path => heard.some(([name, detail]) => name === 'navigate' && detail.path === path)"


def test_a_drawing_is_a_page_like_others_but_runs_nothing(either: Reader) -> None:
    either.open("/plan.svg")
    assert either.hears("ready")["title"] == "A plan"
    drawing = either.site
    image = "document.querySelector('image').getBBox().width"
    assert drawing.evaluate(image) == 20
    for name in ("rect", "text >> text=Run"):
        drawing.locator(name).click()
    assert drawing.evaluate("document.documentElement.hasAttribute('ran')") is False
    drawing.get_by_text("Settings").click()
    either.sees("Settings")
    either.page.wait_for_function(TOLD, arg="/settings/")
    assert "error" not in either.names()


def test_a_link_in_a_drawing_to_elsewhere_opens_beside(either: Reader) -> None:
    beside = either.sites.portal.page("<h1>Elsewhere</h1>", name="elsewhere")
    either.open("/plan.svg")
    with either.page.context.expect_page() as opened:
        either.site.get_by_text("Elsewhere").click()
    assert opened.value.url == beside
    assert opened.value.evaluate("window.opener") is None
    opened.value.close()


@pytest.mark.parametrize("file", ["/plan.svg", "/sheet.pdf"])
def test_a_file_is_shown_and_left_for_the_page_before(either: Reader, file: str) -> None:
    either.open("/settings/")
    for path in (file, "/settings/", file):
        either.page.evaluate("heard.length = 0")
        either.page.evaluate("path => docs.open(path)", path)
        either.page.wait_for_function(TOLD, arg=path)
    expect(either.shell.locator("#site")).to_be_visible()
    assert "error" not in either.names()


def test_firefox_shows_pdf_by_a_page_of_its_own(sites: Embedding, tmp_path: Path) -> None:
    """Which is not for the shell to look into."""
    with started_firefox(tmp_path / "firefox", {}) as browser:
        browser.open(sites.element(sites.gate, path="/settings/"))
        browser.see(2, "h1", "Settings")
        for path in ("/sheet.pdf", "/settings/"):
            browser.run(0, f"heard.length = 0; docs.open({path!r})")
            browser.until(0, f"({TOLD})({path!r})")
        assert "error" not in browser.run(0, "return heard.map(([name]) => name)")
        browser.see(2, "h1", "Settings")


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"]
)
def test_open_leads_to_no_other_site(reader: Reader, path: str) -> None:
    reader.open()
    reader.page.evaluate("path => docs.open(path)", path)
    expect(reader.site.locator("h1")).to_be_visible()
    reader.page.evaluate("docs.open('/settings/')")
    reader.sees("Settings")
    assert reader.site.url == reader.gate + "/settings/"


def test_the_portals_address_follows_the_reader_and_opens_where_it_says(reader: Reader) -> None:
    page = reader.page
    more = 'token-url="/token" link="/reading?page={path}" mirror'
    reader.open(more=more, name="reading")
    page.wait_for_url("**/reading?page=/")
    reader.follow("Getting started")
    reader.sees("Getting started")
    page.wait_for_url("**/reading?page=/getting-started/")
    page.evaluate("docs.open('/settings/#session')")
    page.wait_for_url("**/reading?page=/settings/%23session")
    page.reload()
    reader.hears("ready")
    reader.sees("Settings")
    reader.is_at("/settings/#session")
    assert page.evaluate("docs.link('/a b/?h=c&d#e')").endswith("?page=/a%20b/%3Fh%3Dc%26d%23e")


def test_the_browsers_back_and_forward_lead_the_reader(reader: Reader) -> None:
    page = reader.page
    reader.open(more='token-url="/token" link="/walking?page={path}" mirror', name="walking")
    reader.follow("Getting started")
    page.wait_for_url("**/walking?page=/getting-started/")
    page.evaluate("docs.open('/settings/')")
    page.wait_for_url("**/walking?page=/settings/")
    for back, path, heading in (
        (True, "/getting-started/", "Getting started"),
        (True, "/", "Docs Gate"),
        (False, "/getting-started/", "Getting started"),
        (False, "/settings/", "Settings"),
    ):
        page.evaluate("back => back ? history.back() : history.forward()", back)
        page.wait_for_url(f"**/walking?page={path}")
        reader.sees(heading)
        reader.is_at(path)


def test_the_theme_follows_the_portal(reader: Reader) -> None:
    reader.open(more='token-url="/token" theme="dark"')
    body = reader.page.frame_locator("iframe").frame_locator("iframe").locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    reader.page.evaluate("docs.setAttribute('theme', 'light')")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    reader.follow("Getting started")
    reader.sees("Getting started")
    expect(body).to_have_attribute("data-md-color-scheme", "default")


@pytest.mark.parametrize("own", ["light", "dark"])
def test_a_portal_that_leaves_the_theme_to_the_site_again_gets_the_sites_own(
    reader: Reader, own: Literal["light", "dark"]
) -> None:
    """On the page that was dressed, and on the next."""
    body = reader.page.frame_locator("iframe").frame_locator("iframe").locator("body")
    other = "light" if own == "dark" else "dark"
    schemes = {"light": "default", "dark": "slate"}
    reader.page.emulate_media(color_scheme=own)
    reader.open()
    expect(body).to_have_attribute("data-md-color-scheme", schemes[own])
    for _ in range(2):
        reader.page.evaluate("theme => docs.setAttribute('theme', theme)", other)
        expect(body).to_have_attribute("data-md-color-scheme", schemes[other])
        reader.follow("Getting started")
        reader.sees("Getting started")
        expect(body).to_have_attribute("data-md-color-scheme", schemes[other])
        reader.page.evaluate("docs.removeAttribute('theme')")
        expect(body).to_have_attribute("data-md-color-scheme", schemes[own])
        reader.page.evaluate("docs.open('/')")
        reader.sees("Docs Gate")
        expect(body).to_have_attribute("data-md-color-scheme", schemes[own])


def test_marks_of_light_and_dark_go_back_to_what_the_site_wrote(reader: Reader) -> None:
    """Furo and others: an attribute on html or body, which may say "auto"."""
    reader.open()
    reader.site.evaluate("document.body.dataset.theme = 'auto'")
    body = reader.page.frame_locator("iframe").frame_locator("iframe").locator("body")
    for theme, seen in (("dark", "dark"), ("light", "light"), ("auto", "auto"), ("dark", "dark")):
        reader.page.evaluate("theme => docs.setAttribute('theme', theme)", theme)
        expect(body).to_have_attribute("data-theme", seen)


def test_the_element_is_as_high_as_the_page_if_told_so(reader: Reader) -> None:
    heights = "[docs.offsetHeight, Number(heard.filter(([n]) => n === 'height').at(-1)[1].height)]"
    fits = f"(() => {{ const [own, told] = {heights}; return own === told && %s }})()"
    reader.page.set_viewport_size({"width": 1000, "height": 500})
    html = element(reader.gate, more='token-url="/token" auto-height')
    reader.page.goto(reader.sites.portal.page(html.replace("height: 600px", "height: 100%")))
    reader.hears("height")
    reader.page.wait_for_function(fits % "own > 1500")
    first = reader.page.evaluate("docs.offsetHeight")
    assert reader.site.evaluate("innerHeight >= document.documentElement.scrollHeight")
    reader.page.evaluate("docs.open('/settings/')")
    reader.sees("Settings")
    reader.page.wait_for_function(fits % f"own > {2 * first}")
    reader.page.evaluate("docs.open('/')")
    reader.sees("Docs Gate")
    reader.page.wait_for_function(fits % f"own === {first}")


def status(address: str, **headers: str) -> int:
    """What somebody gets who has copied an address or a cookie."""
    asked = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(asked) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code


def test_signing_out_ends_every_copy_of_the_cookie(reader: Reader) -> None:
    reader.open()
    (copied,) = [
        f"{each.get('name')}={each.get('value')}" for each in reader.page.context.cookies()
    ]
    assert status(reader.gate + "/", Cookie=copied) == 200
    reader.page.evaluate("docs.signOut()")
    reader.hears("signed-out")
    reader.is_told("You are signed out")
    shoot(reader.page, "signed-out")
    assert reader.page.context.cookies() == []
    assert status(reader.gate + "/", Cookie=copied) == 401


def test_signing_out_ends_every_copy_of_the_path(forgetful: Reader) -> None:
    forgetful.open()
    copied = forgetful.site.url
    assert "/-/s/" in copied
    assert status(copied, **INSIDE) == 200
    forgetful.page.evaluate("docs.signOut()")
    forgetful.hears("signed-out")
    forgetful.is_told("You are signed out")
    assert status(copied, **INSIDE) == 401


def test_who_signed_out_comes_in_again_by_asking(reader: Reader) -> None:
    reader.open()
    reader.page.evaluate("docs.signOut()")
    reader.is_told("You are signed out")
    reader.shell.get_by_role("button", name="Open the documentation again").click()
    reader.sees("Docs Gate")


def test_mount_makes_an_element_of_its_options(reader: Reader) -> None:
    html = (
        f'{STYLE}<div id="place"></div><script src="{reader.gate}/-/embed.js"></script>'
        "<script>const heard = []; const docs = DocsGate.mount('#place', {"
        f" src: '{reader.gate}/settings/', title: 'Reading', link: '/page?at={{path}}',"
        " getToken: async () => (await (await fetch('/token')).json()).token,"
        " on: { ready: ({ detail }) => heard.push(['ready', detail]) } })</script>"
    )
    reader.page.goto(reader.sites.portal.page(html))
    assert reader.hears("ready")["path"] == "/settings/"
    reader.sees("Settings")
    assert reader.page.locator("iframe").get_attribute("title") == "Reading"
    assert reader.page.evaluate("docs.link()").endswith("/page?at=/settings/")


def test_a_function_that_is_given_before_the_script_has_come_is_asked(reader: Reader) -> None:
    """As in the handbook: the script is deferred, and the page's own runs before it."""
    html = (
        f'<script defer src="{reader.gate}/-/embed.js"></script>'
        f'{STYLE}<docs-gate id="docs" src="{reader.gate}/settings/"></docs-gate>'
        "<script>document.getElementById('docs').getToken = async () => 'TOKEN'</script>"
    )
    reader.page.goto(reader.sites.portal.page(html))
    reader.sees("Settings")


# The messages


def test_unknown_messages_and_other_versions_are_ignored(reader: Reader) -> None:
    page, gate = reader.page, reader.gate
    page.goto(reader.sites.portal.page(hand_made(gate)))
    assert page.evaluate("hello") == gate
    for message in (
        {"docsGate": 2, "type": "welcome", "path": "/settings/"},
        {"type": "welcome", "path": "/settings/"},
        {"docsGate": 1, "type": "dance"},
        {"docsGate": 1, "type": "navigate", "path": "/settings/"},
        {"docsGate": 1, "type": "sign-out"},
        "welcome",
        None,
        7,
    ):
        page.evaluate("message => say(message)", message)
    assert reader.names() == []
    page.evaluate("say({ docsGate: 1, type: 'welcome', path: '/operating/', more: 'unknown' })")
    reader.hears("ready")
    reader.sees("Operating")
    assert reader.names()[:2] == ["need-token", "ready"]
    page.evaluate("say({ docsGate: 2, type: 'sign-out' })")
    page.evaluate("say({ docsGate: 1, type: 'token', token: 7 })")
    page.evaluate("say({ docsGate: 1, type: 'navigate', path: '/settings/' })")
    reader.sees("Settings")


# Links


def test_a_link_to_elsewhere_opens_beside(either: Reader) -> None:
    either.open()
    beside = either.sites.portal.page("<h1>Elsewhere</h1>")
    either.site.evaluate(
        "address => document.querySelector('.md-content').insertAdjacentHTML('afterbegin',"
        " `<a href='${address}'>elsewhere</a>`)",
        beside,
    )
    with either.page.context.expect_page() as opened:
        either.follow("elsewhere")
    assert opened.value.url == beside
    assert opened.value.evaluate("[window.opener, document.referrer.includes('/-/s/')]") == [
        None,
        False,
    ]
    opened.value.close()
    either.sees("Docs Gate")


@pytest.mark.parametrize("button", ["middle", "left"])
def test_a_tab_that_is_opened_out_of_a_session_in_the_path_has_none_in_its_address(
    forgetful: Reader, button: Literal["middle", "left"]
) -> None:
    """With the middle button, and by a link that names a window of its own."""
    forgetful.open()
    assert "/-/s/" in forgetful.site.url
    link = forgetful.site.locator(".md-content").get_by_role("link", name="Getting started").first
    link.evaluate("link => { link.target = '_blank' }")
    with forgetful.page.context.expect_page() as opened:
        link.click(button=button)
    tab = opened.value
    expect(tab.locator("h1")).to_have_text("Please come in through the portal")
    assert tab.url == forgetful.gate + "/getting-started/"
    assert tab.evaluate("[history.length, document.referrer]") == [1, ""]
    tab.close()
    forgetful.sees("Docs Gate")


def test_a_link_from_the_root_stays_in_the_session_in_the_path(forgetful: Reader) -> None:
    forgetful.open("/settings/")
    folder = forgetful.site.url.removesuffix("settings/")
    forgetful.site.evaluate(
        "document.querySelector('.md-content').insertAdjacentHTML('afterbegin',"
        " '<a href=\"/operating/?h=word#part\">from the root</a>')"
    )
    forgetful.follow("from the root")
    forgetful.sees("Operating")
    assert forgetful.site.url == folder + "operating/?h=word#part"
    forgetful.is_at("/operating/?h=word#part")


def test_a_browser_that_forgets_is_offered_a_tab_of_its_own(
    sites: Embedding, tmp_path: Path
) -> None:
    """Firefox, as it keeps cookies in tabs and none in frames; Chromium keeps all or nothing."""
    blocked = {"network.cookie.cookieBehavior": 1}
    with started_firefox(tmp_path / "firefox", blocked) as browser:
        browser.open(sites.element(sites.gate, path="/settings/"))
        browser.see(1, "h1", "Your browser did not remember you")
        assert browser.run(0, "return heard.map(([name]) => name)") == [
            "need-token",
            "cookies-blocked",
            "error",
        ]
        screenshot("element-panel-no-cookie", browser.screenshot)
        browser.click(1, "button", "Open in a new tab")
        browser.to_newest_tab()
        browser.see(0, "h1", "Settings")
        assert browser.run(0, "return [location.href, window.opener]") == [
            sites.gate + "/settings/",
            None,
        ]


def test_the_shell_shows_nothing_in_a_window_of_its_own(page: Page, sites: Embedding) -> None:
    answer = page.goto(sites.gate + "/-/frame")
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("h1")).to_have_text("This page lives inside the portal")
