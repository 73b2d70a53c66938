"""Sites as generators build them, in a frame under the strict policy: nothing of theirs is blocked,
and search finds; with a cookie, a partitioned one, and none; in Chromium and in Firefox.

Hosts that they load from are named in the settings, and answered by the test: no request leaves
the machine.
"""

import contextlib
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Route, expect, sync_playwright

from gate.config.settings import Settings
from tests.browsers import (
    BUILT,
    CHROMIUM,
    PDF,
    Cookies,
    Log,
    any_page,
    chromium,
    frame_in,
    gate_app,
    program,
    served,
)
from tests.conftest import DATA
from tests.drivers import Browser, ChromiumPage, started_firefox
from tests.fakes import GOOD, FakeApi, FakeClock

GOOGLE: Final = ("style-src https://fonts.googleapis.com", "font-src https://fonts.gstatic.com")
CDNJS: Final = (
    "script-src https://cdnjs.cloudflare.com", "style-src https://cdnjs.cloudflare.com",
)  # fmt: skip
SITES: Final = DATA.parent / "sites"
HANDBOOK: Final = BUILT.parent / "docs" / "embedding.md"
NOWHERE: Final = {  # where other hosts are for Firefox: nobody listens at "discard"
    "network.proxy.type": 1,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
}
CURED: Final = ", cured"
SOUGHT: Final = "pomegranate"  # stands on the second page only


Contexts = Callable[[Cookies], BrowserContext]
OpenPage = Callable[[Cookies], Page]

Search = Callable[[Browser, int], None]
"""Search for it, and follow the hit: in a site that is so many frames deep."""


def in_overlay(opener: str, field: str, hit: str) -> Search:
    """As most sites have it: a field that a button may have to open, hits as one types."""

    def find(browser: Browser, frames: int) -> None:
        if opener:
            browser.click(frames, opener)
        browser.type(frames, field, SOUGHT)
        browser.click(frames, hit, "Guide")

    return find


def on_a_page(field: str, hit: str) -> Search:
    """As others have it: a form that leads to a page of hits."""

    def find(browser: Browser, frames: int) -> None:
        browser.type(frames, field, SOUGHT + "\n")
        browser.click(frames, hit, "Guide")

    return find


@dataclass(frozen=True)
class Kind:
    """A generator's site in `data/sites`. The search of some fails where the browser denies them
    storage; those that link absolutely are not found below a folder."""

    name: str
    search: Search
    sources: tuple[str, ...] = ()
    wants_storage: bool = False
    absolute: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def cured(self) -> str:
        """The name of the site as it works without storage."""
        return self.name + CURED if self.wants_storage else self.name

    def read(self, browser: Browser, frames: int) -> None:
        """From the first page to another, by search."""
        browser.see(frames, "h1", "Welcome")
        self.search(browser, frames)
        browser.see(frames, "h1", "Guide")
        browser.see(frames, "body", SOUGHT)
        assert "/guide" in browser.run(frames, "return location.pathname")


KINDS = [
    Kind(
        "material",
        in_overlay("", ".md-search__input", ".md-search-result__link"),
        GOOGLE,
        wants_storage=True,
    ),
    Kind(
        "zensical",
        in_overlay(".md-search__button", "input[role=combobox]", "[role=option]"),
        GOOGLE,
        wants_storage=True,
    ),
    Kind(
        "mkdocs",
        in_overlay(
            "[data-bs-target='#mkdocs_search_modal']",
            "#mkdocs-search-query",
            "#mkdocs-search-results a",
        ),
        CDNJS,
    ),
    Kind("readthedocs", on_a_page("#rtd-search-form input", "#mkdocs-search-results a"), CDNJS),
    Kind(
        "sphinx",
        on_a_page(".searchbox input[name=q], .search input[name=q]", "ul.search a"),
        wants_storage=True,
    ),
    Kind("docusaurus", in_overlay("", ".navbar__search-input", "[role=option]"), absolute=True),
]
WANT_STORAGE = [kind for kind in KINDS if kind.wants_storage]


# what the tests of the reader expect of a browser, asked of a browser; each adds its letter
ODD: Final = b"""\xef\xbb\xbf<!doctype html><meta charset=latin1><title>Odd</title>
<script>window.ran = "";\r\nran += "a";\r</script>
<SCRIPT TYPE='Text/JavaScript'>/* \0 \xff \xc3\xa4 */ ran += "b"</SCRIPT>
<script><!--
ran += "c" // <script></script>
--></script>
<script language=JavaScript1.2>ran += "d"</script>
<script type=importmap>{"imports": {}}</script>
<svg><script>ran += 1 &amp;&amp; "e"</script><script><![CDATA[ran += "f"]]></script></svg>
<div><template shadowrootmode=open><script>ran += "g"</script></template></div>
<template id=t><script>ran += "h"</script></template>
<script>document.body.append(t.content.cloneNode(true))</script>
<noscript><script>ran += "!"</script></noscript>
<script type=text/template>ran += "!"</script>
<script src>ran += "!"</script>
<svg><script href=/none.js>ran += "!"</script></svg>
<iframe srcdoc="<script>parent.ran += &quot;i&quot;;\r\n</script>"></iframe>
<img src=data:,x onerror="ran += &quot;j&quot;\r\n">
<h1>Odd</h1>
<script type=module>ran += "k"</script>
"""
SVG: Final = b"""<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90">
<style>rect {fill: rgb(1, 2, 3)}</style><rect width="90" height="90"/>
<script>document.documentElement.setAttribute("ran", "")</script></svg>"""


class Violations:
    """What the browser says it blocked. Its console says so too, for frames and workers alike."""

    SCRIPT: Final = """
        addEventListener("securitypolicyviolation", (event) => console.error(
            "Content Security Policy", event.effectiveDirective, event.blockedURI, event.sample));
    """

    def __init__(self, page: Page) -> None:
        self.seen: list[str] = []
        page.add_init_script(self.SCRIPT)
        page.on("console", lambda message: self._note(message.text))

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.seen.append(text)


@dataclass(frozen=True)
class Gates:
    """The running gates by what they serve, and a portal that shows them."""

    addresses: dict[str, str]
    portal: str

    def open(self, page: Page, name: str) -> Frame:
        page.goto(self.framing(name))
        return frame_in(page)

    def framing(self, name: str) -> str:
        """The address of a page of the portal with a plain frame."""
        source = f"{self.addresses[name]}/?token={GOOD}"
        return self._showing(f'<iframe src="{source}" width=1100 height=700></iframe>')

    def embedding(self, name: str) -> str:
        """The address of a page of the portal with the element."""
        gate = self.addresses[name]
        return self._showing(
            f'<docs-gate src="{gate}/" style="width: 1100px; height: 700px"></docs-gate>'
            f"<script>document.querySelector('docs-gate').getToken = () => '{GOOD}'</script>"
            f'<script src="{gate}/-/embed.js"></script>'
        )

    def _showing(self, html: str) -> str:
        return f"{self.portal}/?html={quote(html)}"


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gates]:
    """One gate for each site, and one for the plain theme without its sources."""
    state = tmp_path_factory.mktemp("state")
    sites = {kind.name: (kind.name, kind.sources) for kind in KINDS}
    for kind in WANT_STORAGE:
        folder = tmp_path_factory.mktemp(kind.name) / "site"
        sites[kind.cured] = (str(with_storage_of_its_own(kind.name, folder)), kind.sources)
    sites["without-sources"] = ("mkdocs", ())
    sites["odd"] = (str(odd_site(tmp_path_factory.mktemp("odd"))), ())
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(len(sites) + 2)]
    *own, api, portal = [each.getsockname()[1] for each in listeners]
    address = f"http://localhost:{portal}"
    apps = [
        gate_app(
            Settings.model_validate(
                {
                    "server": {"state_dir": state / name},
                    "site": {"root": SITES / folder, "csp_sources": sources},
                    "verify": {"url": f"http://127.0.0.1:{api}/verify"},
                    "frame": {"allowed_origins": (address,), "cookieless": True},
                }
            ),
            FakeClock(),
            Log(),
        )
        for name, (folder, sources) in sites.items()
    ]
    with served(list(zip([*apps, FakeApi().app(), any_page()], listeners, strict=True))):
        addresses = [f"http://127.0.0.1:{port}" for port in own]
        yield Gates(dict(zip(sites, addresses, strict=True)), address)


def with_storage_of_its_own(name: str, root: Path) -> Path:
    """A site with the lines of script that the handbook recommends, where its generator puts them:
    at the end of the head."""
    shutil.copytree(SITES / name, root)
    told = HANDBOOK.read_text("utf-8").partition("### Storage for sites that count on it")[2]
    found = re.search("<script>.*?</script>", told, re.DOTALL)
    assert found is not None
    for page in root.rglob("*.html"):
        page.write_text(
            page.read_text("utf-8").replace("</head>", found[0] + "</head>", 1), "utf-8"
        )
    return root


def odd_site(root: Path) -> Path:
    frames = b"<h1>Files</h1><iframe src=a.pdf></iframe><iframe src=a.svg></iframe>"
    files = {"index.html": ODD, "files.html": frames, "a.pdf": PDF, "a.svg": SVG}
    for name, body in files.items():
        (root / name).write_bytes(body)
    return root


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contexts]:
    """Chromium for each way to treat cookies, started when it is first asked for."""
    program(*CHROMIUM)
    started: dict[Cookies, BrowserContext] = {}
    with sync_playwright() as playwright, contextlib.ExitStack() as stack:

        def context(cookies: Cookies) -> BrowserContext:
            if cookies not in started:
                profile = tmp_path_factory.mktemp("chromium")
                started[cookies] = chromium(playwright, profile, cookies)
                started[cookies].route(re.compile(r"https://.*"), elsewhere)
                stack.callback(started[cookies].close)
            return started[cookies]

        yield context


def elsewhere(route: Route) -> None:
    """The hosts that the sites load from."""
    kinds = {"stylesheet": "text/css", "script": "text/javascript", "font": "font/woff2"}
    font = "@font-face {font-family: Roboto; src: url(https://fonts.gstatic.com/r.woff2)}"
    body = font if "fonts.googleapis" in route.request.url else ""
    kind = kinds.get(route.request.resource_type, "text/plain")
    route.fulfill(body=body, content_type=kind, headers={"Access-Control-Allow-Origin": "*"})


@pytest.fixture
def open_page(contexts: Contexts) -> Iterator[OpenPage]:
    with contextlib.ExitStack() as stack:
        yield lambda cookies: stack.enter_context(contextlib.closing(contexts(cookies).new_page()))


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page("allowed")


@pytest.mark.parametrize("cookies", ["allowed", "third-party blocked"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nothing_of_a_site_is_blocked_and_search_finds(
    open_page: OpenPage, gates: Gates, kind: Kind, cookies: Cookies
) -> None:
    page = open_page(cookies)
    violations = Violations(page)
    page.goto(gates.framing(kind.name if cookies == "allowed" else kind.cured))
    kind.read(ChromiumPage(page), 1)
    assert violations.seen == []


@pytest.mark.parametrize("kind", WANT_STORAGE, ids=str)
def test_a_site_that_is_denied_storage_is_read_and_its_own_script_ends_the_search(
    open_page: OpenPage, gates: Gates, kind: Kind
) -> None:
    """As the handbook says, with the cure."""
    page = open_page("third-party blocked")
    page.goto(gates.framing(kind.name))
    expect(page.frame_locator("iframe").locator("h1").first).to_contain_text("Welcome")
    site = frame_in(page)
    with page.expect_event("pageerror", lambda error: "localStorage" in error.message):
        if kind.name == "sphinx":
            site.goto(f"{gates.addresses[kind.name]}/search.html?q={SOUGHT}")
        else:
            site.goto(f"{gates.addresses[kind.name]}/guide/")
    if kind.name != "sphinx":
        expect(site.locator("h1").first).to_contain_text("Guide")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.absolute], ids=str)
def test_a_site_that_links_relatively_is_read_without_a_cookie(
    open_page: OpenPage, gates: Gates, kind: Kind
) -> None:
    page = open_page("all blocked")
    violations = Violations(page)
    page.goto(gates.embedding(kind.cured))
    kind.read(ChromiumPage(page), 2)
    assert violations.seen == []


def test_every_site_is_read_in_firefox(gates: Gates, tmp_path: Path) -> None:
    with started_firefox(tmp_path / "firefox", NOWHERE) as browser:
        for kind in KINDS:
            browser.open(gates.framing(kind.name))
            kind.read(browser, 1)


def test_what_is_not_named_is_blocked_and_the_browser_says_so(page: Page, gates: Gates) -> None:
    violations = Violations(page)
    frame = gates.open(page, "without-sources")
    expect(frame.locator("h1")).to_contain_text("Welcome")
    assert any("cdnjs.cloudflare.com" in each for each in violations.seen)


def test_odd_pages_run_as_the_reader_of_pages_says(page: Page, gates: Gates) -> None:
    violations = Violations(page)
    frame = gates.open(page, "odd")
    expect(frame.locator("h1")).to_contain_text("Odd")
    frame.wait_for_load_state("load")
    assert "".join(sorted(frame.evaluate("ran"))) == "abcdefghijk"
    assert violations.seen == []


def test_what_a_page_does_not_hold_does_not_run(page: Page, gates: Gates) -> None:
    violations = Violations(page)
    frame = gates.open(page, "odd")
    expect(frame.locator("h1")).to_contain_text("Odd")
    frame.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'injected'";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<b onclick=\\"document.title=''\\">");
        document.querySelector("b").click();
        location.href = "javascript:document.title = ''";
    }""")
    assert frame.title() == "Odd"
    assert len(violations.seen) >= 3


def test_pdf_and_drawings_show_in_a_frame_and_drawings_run_nothing(
    page: Page, gates: Gates
) -> None:
    gates.open(page, "odd")
    page.goto(gates.addresses["odd"] + f"/files.html?token={GOOD}")
    expect(page.locator("h1")).to_contain_text("Files")
    page.wait_for_load_state("networkidle")
    assert any(frame.url.startswith("chrome-extension:") for frame in page.frames)  # PDF's viewer
    drawing = page.frame(url=re.compile("a.svg"))
    assert drawing is not None
    fill = "getComputedStyle(document.querySelector('rect')).fill"
    assert drawing.evaluate(fill) == "rgb(1, 2, 3)"
    assert drawing.evaluate("document.documentElement.hasAttribute('ran')") is False
