"""Every way to embed, in every kind of browser, from the first page to sign-out.

What is expected is printed in the handbook, docs/browsers.md.
"""

import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.browsers import screenshot
from tests.certificates import make_certificate
from tests.drivers import Browser, started_chromium, started_firefox, started_webkit
from tests.portals import HOUR, STYLE, Embedding, embedding

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Kind:
    """A browser in one of its moods."""

    name: str
    start: Callable[[Path], AbstractContextManager[Browser]]
    keeps_cookies: bool = True
    https: bool = False


KINDS: Final = (
    Kind("Chromium, third-party cookies allowed", partial(started_chromium, cookies="allowed")),
    Kind(
        "Chromium, third-party cookies blocked",
        partial(started_chromium, cookies="third-party blocked"),
    ),
    Kind(
        "Chromium, all cookies blocked",
        partial(started_chromium, cookies="all blocked"),
        keeps_cookies=False,
    ),
    Kind("Firefox as it comes", partial(started_firefox, preferences={})),
    Kind(
        "Firefox, opt-in partitioning",
        partial(
            started_firefox,
            preferences={"network.cookie.cookieBehavior.optInPartitioning": True},
        ),
    ),
    Kind(
        "Firefox, third-party cookies blocked",
        partial(started_firefox, preferences={"network.cookie.cookieBehavior": 1}),
        keeps_cookies=False,
    ),
    Kind("WebKitGTK as it comes", started_webkit, keeps_cookies=False, https=True),
    Kind(
        "WebKitGTK, tracking prevention",
        lambda folder: started_webkit(folder, "--enable-itp"),
        keeps_cookies=False,
        https=True,
    ),
)


FORGOTTEN: Final = "Your browser did not remember you"
WITHOUT: Final[Mapping[str, str]] = {
    "first page": "no cookie is kept: the reader is told so, and what to do",
    "link": "no page, so no link; another page's address opens nothing",
    "search": "no page to search on",
    "reload": "told the same again, once; nothing loops",
    "expiry and renewal": "no session that could end; nobody is asked again",
}
"""Why the steps do not pass where the browser keeps no cookie: one line each, for the handbook.
What is not named here passes."""


class Way:
    """How a portal embeds. `site` is how many frames deep the site is."""

    name = ""
    title = ""
    site = 1
    cookieless = False

    def __init__(self, sites: Embedding, browser: Browser) -> None:
        self.sites = sites
        self.browser = browser
        self.gate = sites.cookieless if self.cookieless else sites.gate
        self.html = ""

    def see(self, heading: str) -> None:
        self.browser.see(self.site, "h1", heading)

    def follow(self, text: str) -> None:
        self.browser.click(self.site, ".md-content a", text)

    def first_page(self) -> None:
        self.browser.open(self.sites.portal.page(self.html))
        self.see("Docs Gate")

    def link(self) -> None:
        self.follow("Getting started")
        self.see("Getting started")

    def search(self) -> None:
        self.browser.click(self.site, ".md-header__button[for=__search], .md-search__input")
        self.browser.type(self.site, ".md-search__input", "recheck")
        self.browser.click(self.site, ".md-search-result__link", "recheck")
        self.browser.see(self.site, ".md-content mark", "recheck")

    def reload(self) -> None:
        self.browser.reload()
        self.see("Docs Gate")

    def expiry_and_renewal(self) -> None:
        raise NotImplementedError

    def sign_out(self) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        """The log is told of it as well, before anything is counted from nothing again."""
        self.sign_out()
        self.sites.log.wait_for_counts(Counter(self.closing))

    # the same steps where the browser keeps no cookie

    opening: Mapping[str, int] = {}
    closing: Mapping[str, int] = {}
    """What one opening of the portal's page and a sign-out ask of the gate there, styles and
    scripts apart."""

    def first_page_without(self) -> None:
        self.sites.log.clear()
        self.asked: Counter[str] = Counter()
        self.browser.open(self.sites.portal.page(self.html))
        self.is_told_once_more()

    def link_without(self) -> None:
        self.has_nothing("a[href]")
        self.another_page()
        self.has_nothing("a[href]")

    def search_without(self) -> None:
        self.has_nothing("input")

    def reload_without(self) -> None:
        self.browser.reload()
        self.is_told_once_more()

    def expiry_and_renewal_without(self) -> None:
        self.sites.clock.advance(8 * HOUR + 1)
        self.pass_time()
        self.stands_still()
        self.browser.reload()
        self.is_told_once_more()

    def sign_out_without(self) -> None:
        self.sign_out()
        self.asked.update(self.closing)
        self.sites.log.wait_for_counts(self.asked)
        assert self.sites.log.counts() == self.asked

    def another_page(self) -> None:
        """What a link would have asked for."""
        raise NotImplementedError

    def pass_time(self) -> None:
        """Whatever there is to notice that hours have passed."""

    def is_told_once_more(self) -> None:
        self.browser.see(1, "h1", FORGOTTEN)
        self.browser.run(1, "window.mark = 'the same document'")
        self.asked.update(self.opening)
        self.stands_still()

    def stands_still(self) -> None:
        """Nothing was loaded or asked but what had to be."""
        self.sites.log.wait_for_counts(self.asked)
        assert self.sites.log.counts() == self.asked
        self.browser.until(1, "window.mark === 'the same document'")

    def has_nothing(self, selector: str) -> None:
        """Neither of the site nor to use."""
        found = f"[...document.querySelectorAll('.md-content, {selector}')]"
        seen = self.browser.run(1, f"return {found}.filter((each) => each.offsetParent).length")
        assert seen == 0


class Plain(Way):
    name = "plain"
    title = "A plain frame, token in its address"
    frame = '<iframe name="docs" src="{gate}/?token=TOKEN"></iframe>'
    opening: Mapping[str, int] = {"/": 2}
    closing: Mapping[str, int] = {"/-/sign-out": 1, "/-/signed-out": 1}

    def __init__(self, sites: Embedding, browser: Browser) -> None:
        super().__init__(sites, browser)
        self.html = (
            STYLE
            + self.frame.format(gate=self.gate)
            + (
                f'<form method="post" target="docs" action="{self.gate}/-/sign-out">'
                '<button class="leave">Leave</button></form>'
            )
        )

    def expiry_and_renewal(self) -> None:
        """The reader is told to reload the portal's page, and it helps."""
        self.sites.clock.advance(8 * HOUR + 1)
        self.follow("Settings")
        self.see("Your session has run out")
        self.browser.see(self.site, "main", "Reload the portal page")
        self.browser.reload()
        self.see("Docs Gate")

    def sign_out(self) -> None:
        self.browser.click(0, ".leave")
        self.see("You are signed out")

    def another_page(self) -> None:
        self.browser.run(0, f"frames[0].location = '{self.gate}/settings/'")
        self.see("Please come in through the portal")
        self.asked["/settings/"] += 1
        self.browser.run(1, "window.mark = 'the same document'")
        self.stands_still()


class Form(Plain):
    name = "form"
    title = "A form into the frame"
    frame = (
        '<iframe name="docs"></iframe><form id="open" method="post" target="docs"'
        ' action="{gate}/-/session"><input type="hidden" name="token" value="TOKEN"></form>'
        "<script>addEventListener('load', () => document.getElementById('open').submit())</script>"
    )
    opening: Mapping[str, int] = {"/-/session": 1, "/": 1}


class Element(Way):
    name = "element"
    title = "The element"
    site = 2
    opening: Mapping[str, int] = {"/-/frame": 1, "/-/session": 1, "/-/frame/session": 1}
    closing: Mapping[str, int] = {"/-/sign-out": 1}

    def __init__(self, sites: Embedding, browser: Browser) -> None:
        super().__init__(sites, browser)
        self.html = (
            f'{STYLE}<docs-gate src="{self.gate}/" token-url="/token"></docs-gate>'
            f'<script src="{self.gate}/-/embed.js"></script>'
        )

    def expiry_and_renewal(self) -> None:
        """The shell renews ahead of the end, while the reader's page stays as it is."""
        self.sites.clock.advance(7 * HOUR)
        self.browser.run(self.site, "window.mark = 'still here'")
        asked = self.sites.portal.asked
        self.sites.log.clear()
        self.pass_time()
        self.sites.portal.wait_for(asked + 1)
        self.sites.log.wait_for_any({"/-/frame/session", "/-/frame/prefix"}, {"allowed", "intake"})
        self.browser.until(self.site, "window.mark === 'still here'")
        self.sites.clock.advance(2 * HOUR)
        self.follow("Settings")
        self.see("Settings")

    def pass_time(self) -> None:
        """By the shell's own clock; what wakes it is what wakes it after a sleep."""
        self.browser.run(
            1,
            f"const real = window.Date.now; window.Date.now = () => real() + {8 * HOUR * 1000};"
            "window.dispatchEvent(new Event('focus'))",
        )

    def another_page(self) -> None:
        self.browser.run(0, "document.querySelector('docs-gate').open('/settings/')")
        self.stands_still()

    def sign_out(self) -> None:
        self.browser.run(0, "document.querySelector('docs-gate').signOut()")
        self.browser.see(1, "h1", "You are signed out")


class Cookieless(Element):
    name = "cookieless"
    title = "The element, with `[frame] cookieless = true`"
    cookieless = True


WAYS: Final = (Plain, Form, Element, Cookieless)
STEPS: Final[Mapping[str, tuple[Callable[[Way], None], Callable[[Way], None]]]] = {
    "first page": (lambda way: way.first_page(), lambda way: way.first_page_without()),
    "link": (lambda way: way.link(), lambda way: way.link_without()),
    "search": (lambda way: way.search(), lambda way: way.search_without()),
    "reload": (lambda way: way.reload(), lambda way: way.reload_without()),
    "expiry and renewal": (
        lambda way: way.expiry_and_renewal(),
        lambda way: way.expiry_and_renewal_without(),
    ),
    "sign-out": (lambda way: way.leave(), lambda way: way.sign_out_without()),
}
"""With a cookie, or without the need of one; and without."""


def reason(kind: Kind, way: type[Way], step: str) -> str | None:
    """Why a cell does not pass; None where it does."""
    return None if kind.keeps_cookies or way.cookieless else WITHOUT.get(step)


def tables() -> str:
    """What the handbook prints of it."""
    parts = []
    for way in WAYS:
        parts += [f"### {way.title}", ""]
        parts += ["| Browser | " + " | ".join(STEPS) + " |", "|---" * (1 + len(STEPS)) + "|"]
        for kind in KINDS:
            cells = [reason(kind, way, step) or "passes" for step in STEPS]
            parts.append(f"| {kind.name} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def test_the_handbook_prints_what_is_expected() -> None:
    assert tables() in (ROOT / "docs" / "browsers.md").read_text("utf-8"), tables()


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    with embedding(tmp_path_factory.mktemp("http")) as sites:
        yield sites


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*make_certificate(tmp_path_factory.mktemp("tls")))
    with embedding(tmp_path_factory.mktemp("https"), tls=tls) as sites:
        yield sites


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_way_works_in_every_browser_or_says_why_not(
    kind: Kind, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sites: Embedding = request.getfixturevalue("https" if kind.https else "http")
    with kind.start(tmp_path / "profile") as browser:
        for make in WAYS:
            way = make(sites, browser)
            for step, (take, without) in STEPS.items():
                try:
                    (take if reason(kind, make, step) is None else without)(way)
                except Exception as problem:
                    problem.add_note(f"in {kind.name}: {way.name}: {step}")
                    raise
                finally:
                    name = f"matrix-{kind.name}-{way.name}-{step}"
                    screenshot(name.replace(", ", "-").replace(" ", "-"), browser.screenshot)
