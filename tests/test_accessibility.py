"""The gate's own pages, looked at by axe-core in Chromium: every page in every state and language,
light and dark, on a phone and on a desk."""

import contextlib
import importlib.resources
import itertools
import socket
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

import pytest
from aiohttp import web
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from gate.brand import open_brand
from gate.config.settings import BrandSettings, FrameSettings, Settings
from gate.config.sign_in import QrSettings, SignInSettings
from gate.pages import Pages
from gate.sign_in import qr
from gate.sign_in.flow import LIVE, Flow, State
from gate.sign_in.pages import Reader, SignInPages
from gate.sign_in.progress import Transaction
from gate.sign_in.surroundings import POLICY
from tests.browsers import (
    BUILT,
    CHROMIUM,
    PATIENCE,
    Log,
    any_page,
    gate_app,
    program,
    screenshot,
    served,
)
from tests.fakes import FakeClock

AXE: Final = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDTHS: Final = (1280, 320)

EXAMINED: Final = {
    "en": {(1280, "light"), (320, "dark")},
    "zh-Hans": {(1280, "dark"), (320, "light")},
}
"""Where axe-core looks, as it takes its time; the languages together see every screen. Whether a
page is too wide is measured on all of them."""
SECRET: Final = "a-secret-of-good-length"

BRAND: Final = open_brand(
    BrandSettings(name="Example & Sons", contact="help@example.com", color="#d9822b")
)
FACTS: Final = {
    "origin": "https://portal.example",
    "retry_after": "30",
    "status": "405",
    "detail": "this address takes GET and HEAD",
}
REQUEST: Final = "4bf92f3577b34da6a3ce929d0e0e4736"

# made here, since they read files, and a loop runs in a thread that drives a browser
OWN: Final = Pages(BRAND, FrameSettings())
SIGN_IN: Final = SignInPages(
    SignInSettings(
        portal_url="https://portal.example.com/{path}",
        qr=QrSettings(preset="custom", ask_name=True),
    ),
    BRAND,
)

_VIOLATIONS: Final = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false });
  return violations.flatMap(({ id, nodes }) => nodes.map(
    ({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}"""
_TOO_WIDE: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def own_pages(language: str) -> dict[str, bytes]:
    """What readers may see of the gate in a window, by a name for it."""
    made = {
        name: OWN.html(name, request_id=REQUEST, language=language, **FACTS)
        for name in sorted(OWN.names)
    }
    # one panel is shown at a time, by a script that asks the portal which
    shell = OWN.shell(language).replace(b"/-/frame.js", b"/-/none.js").decode()
    for name in shell.split('data-panel="')[1:]:
        panel = name.partition('"')[0]
        shown = shell.replace(f'data-panel="{panel}" hidden', f'data-panel="{panel}"')
        if panel != "site":
            made[f"shell-{panel}"] = shown.encode()
    return {**made, **sign_in_pages(language)}


def sign_in_pages(language: str) -> dict[str, bytes]:
    """Signing in with all that can be offered, in every state, and signing out."""
    pages, reader = SIGN_IN, Reader(language, REQUEST)
    address = "https://login.example.com/device"
    flow = Flow("id", "", "", "/", deadline=0, seen=0)
    flow.transaction = Transaction("secret", f"{address}?code=WDJB-MJHT", "WDJB-MJHT", address)
    flow.code = qr.svg(flow.transaction.text)
    made = {
        "offer": pages.offer(reader),
        "offer-expired": pages.offer(reader, why="expired"),
        "offer-wrong-name": pages.offer(reader, wrong_name=True),
        "sign-out": pages.sign_out(reader),
        "message-unverified": pages.message(reader, "unverified", finish=True),
        "message-used-open": pages.message(reader, "used", open_at="/guide/"),
    }
    for state in (State.WAITING, State.UNREACHABLE, State.ACCEPTED):
        flow.turn(state)
        if state is State.ACCEPTED:
            flow.transaction, flow.code = None, ""
        page = pages.wait(reader, flow, seconds=271, origin="https://docs.example.com")
        made[f"wait-{state.value}"] = page
    over = [state.value for state in State if state not in LIVE]
    for name in (*over, "unknown", "full", "limited", "unavailable"):
        made[f"message-{name}"] = pages.message(reader, name, wanted="/guide/")
    return made


def showing(pages: dict[str, bytes]) -> web.Application:
    """These pages, with the policy, the styles and the scripts that they come with."""
    files = {
        "gate.css": ("text/css", OWN.stylesheet),
        "page.js": ("text/javascript", OWN.script),
        "sign-in.css": ("text/css", SIGN_IN.stylesheet),
        "sign-in.js": ("text/javascript", SIGN_IN.script),
        "logo": (BRAND.logo_type, BRAND.logo),
    }

    async def page(request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": POLICY}
        body = pages[request.match_info["name"]]
        return web.Response(body=body, headers=headers, content_type="text/html")

    async def file(request: web.Request) -> web.Response:
        kind, body = files.get(request.match_info["name"], ("text/plain", b""))
        return web.Response(body=body, content_type=kind)

    async def stay(request: web.Request) -> web.Response:
        """The page of an approved sign-in sends its form at once, and would be left."""
        return web.Response(status=204)

    app = web.Application()
    app.add_routes(
        [
            web.get("/-/{name}", file),
            web.get("/-/sign-in/events", stay),
            web.post("/-/sign-in/finish", stay),
            web.get("/{name}", page),
        ]
    )
    return app


@contextlib.contextmanager
def at_address(app: web.Application, host: str = "127.0.0.1") -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    with served([(app, listener)]):
        yield f"http://{host}:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=program(*CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
    )
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """axe-core is in every page, and in every frame of it, before the page begins."""
    context = browser.new_context(http_credentials={"username": "x", "password": SECRET})
    context.set_default_timeout(PATIENCE * 1000)
    # without this it neither looks into frames of other sites nor answers there
    context.add_init_script(AXE + ';axe.configure({ allowedOrigins: ["<unsafe_all_origins>"] })')
    yield context
    context.close()


def findings(page: Page, name: str, examined: Set[tuple[int, str]]) -> list[str]:
    """What is wrong with the page as it stands there, in both themes and at both widths."""
    wrong = []
    for width, theme in itertools.product(WIDTHS, THEMES):
        at = f"{name}-{width}-{theme}"
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)
        if (pixels := page.evaluate(_TOO_WIDE)) > 0:
            wrong.append(f"{at}: {pixels} px wider than the screen")
        if (width, theme) in examined:
            wrong += [f"{at}: {each}" for each in page.evaluate(_VIOLATIONS)]
        screenshot(at, lambda path: page.screenshot(path=path, full_page=True))
    return wrong


@pytest.mark.parametrize("language", EXAMINED)
def test_everybody_can_read_every_page_of_the_gates_own(
    context: BrowserContext, language: str
) -> None:
    pages, wrong = own_pages(language), []
    page = context.new_page()
    with at_address(showing(pages)) as address:
        for name in pages:
            page.goto(f"{address}/{name}")
            wrong += findings(page, f"{language}-{name}", EXAMINED[language])
    assert wrong == []


@dataclass(frozen=True, slots=True)
class Running:
    """A gate at its defaults but for a status page, and a portal that may show it."""

    gate: str
    portal: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with at_address(any_page(), "localhost") as portal:
        settings = Settings.model_validate(
            {
                "site": {"root": BUILT},
                "verify": {"url": f"{portal}/verify"},
                "frame": {"allowed_origins": (portal,)},
                "server": {"state_dir": tmp_path_factory.mktemp("state")},
                "status": {"secret": SECRET},
            }
        )
        with at_address(gate_app(settings, FakeClock(), Log())) as gate:
            yield Running(gate, portal)


def test_everybody_can_read_the_status_page(context: BrowserContext, running: Running) -> None:
    page = context.new_page()
    page.goto(f"{running.gate}/nowhere?token=wrong")
    page.goto(f"{running.gate}/-/status")
    page.get_by_text("Settings", exact=True).click()
    assert findings(page, "status", EXAMINED["en"]) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        keys = "[...document.querySelectorAll('.settings th code')]"
        assert page.evaluate(f"{keys}.filter((e) => e.getClientRects().length > 1).length") == 0


@pytest.mark.parametrize("path", ["/", "/-/frame", "/-/sign-out"])
def test_everybody_can_read_what_a_frame_shows(
    context: BrowserContext, running: Running, path: str
) -> None:
    page = context.new_page()
    frame = f'<html lang="en"><iframe title="Docs" src="{running.gate}{path}">'
    page.goto(f"{running.portal}/?html={quote(frame)}")
    expect(page.frame_locator("iframe").locator("h1:visible")).to_have_count(1)
    assert page.evaluate(_VIOLATIONS) == []
    inside = page.evaluate("async () => (await axe.run('iframe')).passes.flatMap((e) => e.nodes)")
    assert any(len(node["target"]) == 2 for node in inside), "axe-core looked into the frame"
