"""Every way to embed, in every kind of browser, from the first page to sign-out.

What is expected is printed in the handbook, docs/browsers.md.
"""

import ssl
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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a cell does not pass: what the reader sees instead, and one line for the handbook."""

    name: str
    heading: str
    line: str


NO_COOKIE: Final = Reason(
    "no cookie",
    "Your browser did not remember you",
    "the browser keeps no cookie in the frame. The reader gets a page that says so, and what to do;"
    " nothing loops.",
)
EXPLAINED: Final = ("first page", "link", "search", "reload", "expiry and renewal")


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

    def explains(self, reason: Reason) -> None:
        """What a reader meets whom the browser forgets: at first, and after a reload."""
        self.browser.open(self.sites.portal.page(self.html))
        self.browser.see(1, "h1", reason.heading)
        self.browser.reload()
        self.browser.see(1, "h1", reason.heading)
        assert self.browser.run(1, "return document.querySelectorAll('.md-content').length") == 0


class Plain(Way):
    name = "plain"
    title = "A plain frame, token in its address"
    frame = '<iframe name="docs" src="{gate}/?token=TOKEN"></iframe>'

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


class Form(Plain):
    name = "form"
    title = "A form into the frame"
    frame = (
        '<iframe name="docs"></iframe><form id="open" method="post" target="docs"'
        ' action="{gate}/-/session"><input type="hidden" name="token" value="TOKEN"></form>'
        "<script>document.getElementById('open').submit()</script>"
    )


class Element(Way):
    name = "element"
    title = "The element"
    site = 2

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
        # the shell's own clock moves along; what wakes it is what wakes it after a sleep
        self.browser.run(
            1,
            f"const real = window.Date.now; window.Date.now = () => real() + {8 * HOUR * 1000};"
            "window.dispatchEvent(new Event('focus'))",
        )
        self.sites.portal.wait_for(asked + 1)
        self.sites.log.wait_for_any({"/-/frame/session", "/-/frame/prefix"}, {"allowed", "intake"})
        self.browser.until(self.site, "window.mark === 'still here'")
        self.sites.clock.advance(2 * HOUR)
        self.follow("Settings")
        self.see("Settings")

    def sign_out(self) -> None:
        self.browser.run(0, "document.querySelector('docs-gate').signOut()")
        self.browser.see(1, "h1", "You are signed out")


class Cookieless(Element):
    name = "cookieless"
    title = "The element, with `[frame] cookieless = true`"
    cookieless = True


WAYS: Final = (Plain, Form, Element, Cookieless)
STEPS: Final[Mapping[str, Callable[[Way], None]]] = {
    "first page": lambda way: way.first_page(),
    "link": lambda way: way.link(),
    "search": lambda way: way.search(),
    "reload": lambda way: way.reload(),
    "expiry and renewal": lambda way: way.expiry_and_renewal(),
    "sign-out": lambda way: way.sign_out(),
}


def expected(kind: Kind, way: type[Way], step: str) -> Reason | None:
    """None where the cell passes."""
    if kind.keeps_cookies or way.cookieless:
        return None
    return NO_COOKIE if step in EXPLAINED else None


def tables() -> str:
    """What the handbook prints of it."""
    parts = []
    for way in WAYS:
        parts += [f"### {way.title}", ""]
        parts += ["| Browser | " + " | ".join(STEPS) + " |", "|---" * (1 + len(STEPS)) + "|"]
        for kind in KINDS:
            cells = [
                "works" if expected(kind, way, step) is None else NO_COOKIE.name for step in STEPS
            ]
            parts.append(f"| {kind.name} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join([*parts, f"**{NO_COOKIE.name}**: {NO_COOKIE.line}", ""])


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
            for step, take in STEPS.items():
                reason = expected(kind, make, step)
                try:
                    if reason is None:
                        take(way)
                    elif step == "first page":
                        way.explains(reason)
                except Exception as problem:
                    problem.add_note(f"in {kind.name}: {way.name}: {step}")
                    raise
                finally:
                    name = f"matrix-{kind.name}-{way.name}-{step}"
                    screenshot(name.replace(", ", "-").replace(" ", "-"), browser.screenshot)
