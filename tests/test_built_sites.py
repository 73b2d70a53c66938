"""Sites as generators build them, in a frame in Chromium under the strict policy: nothing of theirs
is blocked, and search finds.

Hosts that they load from are named in the settings, and answered by the test: no request leaves
the machine.
"""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Route, expect, sync_playwright

from gate.config.settings import Settings
from tests.browsers import CHROMIUM, Log, any_page, chromium, frame_in, gate_app, program, served
from tests.conftest import DATA
from tests.fakes import GOOD, FakeApi, FakeClock

GOOGLE: Final = ("style-src https://fonts.googleapis.com", "font-src https://fonts.gstatic.com")
CDNJS: Final = (
    "script-src https://cdnjs.cloudflare.com", "style-src https://cdnjs.cloudflare.com",
)  # fmt: skip
SOUGHT: Final = "pomegranate"  # stands on the second page only


def in_overlay(opener: str, field: str, hit: str) -> Callable[[Frame], None]:
    """Search as most sites have it: a field that a button may have to open, hits as one types."""

    def find(frame: Frame) -> None:
        if opener:
            frame.locator(opener).first.click()
        frame.locator(field).first.press_sequentially(SOUGHT)
        frame.locator(hit).filter(has_text=re.compile("guide", re.IGNORECASE)).first.click()

    return find


def on_a_page(field: str, hit: str) -> Callable[[Frame], None]:
    """Search as others have it: a form that leads to a page of hits."""

    def find(frame: Frame) -> None:
        frame.locator(field).first.fill(SOUGHT)
        frame.locator(field).first.press("Enter")
        frame.locator(hit).filter(has_text="Guide").first.click()

    return find


@dataclass(frozen=True)
class Kind:
    """A generator's site in `data/sites`."""

    name: str
    search: Callable[[Frame], None]
    sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


KINDS = [
    Kind(
        "material",
        in_overlay("", ".md-search__input", ".md-search-result__link"),
        GOOGLE,
    ),
    Kind(
        "zensical",
        in_overlay(".md-search__button:visible", "input[role=combobox]", f"a:has-text('{SOUGHT}')"),
        GOOGLE,
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
    Kind("sphinx", on_a_page(".searchbox input[name=q], .search input[name=q]", "ul.search a")),
    Kind("docusaurus", in_overlay("", ".navbar__search-input", "[role=option]")),
]


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
PDF: Final = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n"
)
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
        source = f"{self.addresses[name]}/?token={GOOD}"
        html = f'<iframe src="{source}" width=1100 height=700></iframe>'
        page.goto(f"{self.portal}/?html={html}")
        return frame_in(page)


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gates]:
    """One gate for each site, and one for the plain theme without its sources."""
    state = tmp_path_factory.mktemp("state")
    sites = {kind.name: (kind.name, kind.sources) for kind in KINDS}
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
                    "site": {"root": DATA.parent / "sites" / folder, "csp_sources": sources},
                    "verify": {"url": f"http://127.0.0.1:{api}/verify"},
                    "frame": {"allowed_origins": (address,)},
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


def odd_site(root: Path) -> Path:
    frames = b"<h1>Files</h1><iframe src=a.pdf></iframe><iframe src=a.svg></iframe>"
    files = {"index.html": ODD, "files.html": frames, "a.pdf": PDF, "a.svg": SVG}
    for name, body in files.items():
        (root / name).write_bytes(body)
    return root


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    program(*CHROMIUM)
    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("chromium")
        browser = chromium(playwright, profile, "allowed")
        browser.route(re.compile(r"https://.*"), elsewhere)
        with contextlib.closing(browser):
            yield browser


def elsewhere(route: Route) -> None:
    """The hosts that the sites load from."""
    kinds = {"stylesheet": "text/css", "script": "text/javascript", "font": "font/woff2"}
    font = "@font-face {font-family: Roboto; src: url(https://fonts.gstatic.com/r.woff2)}"
    body = font if "fonts.googleapis" in route.request.url else ""
    kind = kinds.get(route.request.resource_type, "text/plain")
    route.fulfill(body=body, content_type=kind, headers={"Access-Control-Allow-Origin": "*"})


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    with contextlib.closing(context.new_page()) as page:
        yield page


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_nothing_of_a_site_is_blocked_and_search_finds(
    page: Page, gates: Gates, kind: Kind
) -> None:
    violations = Violations(page)
    frame = gates.open(page, kind.name)
    expect(frame.locator("h1").first).to_contain_text("Welcome")
    kind.search(frame)
    expect(frame.locator("h1").first).to_contain_text("Guide")
    expect(frame.locator("body")).to_contain_text(SOUGHT)
    assert "/guide" in frame.url
    assert violations.seen == []


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
