"""The gate's own pages, looked at by axe-core in Chromium: every page in every state and language,
light and dark, on a phone and on a desk."""

import contextlib
import importlib.resources
import re
import socket
from collections.abc import Callable, Iterator, Mapping
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
    CHROMIUM_FLAGS,
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
Theme = Literal["light", "dark"]

SCREENS: Final[Mapping[str, tuple[tuple[int, Theme], ...]]] = {
    "en": ((1280, "light"), (320, "dark")),
    "zh-Hans": ((1280, "dark"), (320, "light")),
}
"""Width and theme. The languages together see every one, since axe-core takes its time."""

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


def pages(language: str) -> dict[str, bytes]:
    """What comes instead of the site, by a name for it."""
    return {
        name: OWN.html(name, request_id=REQUEST, language=language, **FACTS)
        for name in sorted(OWN.names)
    }


def panels(language: str) -> dict[str, bytes]:
    """The shell with each of its panels, of which a script shows one at a time."""
    shell = OWN.shell(language).decode()
    names = set(re.findall('data-panel="(\\w+)"', shell)) - {"site"}
    return {
        f"shell-{name}": shell.replace(
            f'data-panel="{name}" hidden', f'data-panel="{name}"'
        ).encode()
        for name in sorted(names)
    }


def sign_in_pages(language: str) -> dict[str, bytes]:
    """Signing in with all that can be offered, in every state, and signing out."""
    reader = Reader(language, REQUEST)
    address = "https://login.example.com/device"
    flow = Flow("id", "", "", "/", deadline=0, seen=0)
    flow.transaction = Transaction("secret", f"{address}?code=WDJB-MJHT", "WDJB-MJHT", address)
    flow.code = qr.svg(flow.transaction.text)
    made = {
        "offer": SIGN_IN.offer(reader),
        "offer-expired": SIGN_IN.offer(reader, why="expired"),
        "offer-wrong-name": SIGN_IN.offer(reader, wrong_name=True),
        "sign-out": SIGN_IN.sign_out(reader),
        "message-unverified": SIGN_IN.message(reader, "unverified", finish=True),
        "message-used-open": SIGN_IN.message(reader, "used", open_at="/guide/"),
    }
    for state in (State.WAITING, State.UNREACHABLE, State.ACCEPTED):
        flow.turn(state)
        if state is State.ACCEPTED:
            flow.transaction, flow.code = None, ""
        page = SIGN_IN.wait(reader, flow, seconds=271, origin="https://docs.example.com")
        made[f"wait-{state.value}"] = page
    over = [state.value for state in State if state not in LIVE]
    for name in (*over, "unknown", "full", "limited", "unavailable"):
        made[f"message-{name}"] = SIGN_IN.message(reader, name, wanted="/guide/")
    return made


def showing(made: dict[str, bytes]) -> web.Application:
    """These pages, with the policy and the styles that they come with. Their scripts are empty, as
    they load a page anew or leave it, perhaps while it is looked at."""
    files = {
        "gate.css": ("text/css", OWN.stylesheet),
        "page.js": ("text/javascript", b""),
        "sign-in.css": ("text/css", SIGN_IN.stylesheet),
        "sign-in.js": ("text/javascript", b""),
        "logo": (BRAND.logo_type, BRAND.logo),
    }

    async def page(request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": POLICY}
        body = made[request.match_info["name"]]
        return web.Response(body=body, headers=headers, content_type="text/html")

    async def file(request: web.Request) -> web.Response:
        kind, body = files.get(request.match_info["name"], ("text/plain", b""))
        headers = {"Cache-Control": "max-age=600"}  # else each page asks for them anew
        return web.Response(body=body, content_type=kind, headers=headers)

    app = web.Application()
    app.add_routes([web.get("/-/{name}", file), web.get("/{name}", page)])
    return app


@contextlib.contextmanager
def at_address(app: web.Application, host: str = "127.0.0.1") -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    with served([(app, listener)]):
        yield f"http://{host}:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=program(*CHROMIUM), args=["--no-sandbox", *CHROMIUM_FLAGS]
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


def findings(page: Page, name: str, language: str) -> list[str]:
    """What is wrong with the page as it stands there, on the screens of this language."""
    wrong = []
    for width, theme in SCREENS[language]:
        at = f"{name}-{width}-{theme}"
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)
        if (pixels := page.evaluate(_TOO_WIDE)) > 0:
            wrong.append(f"{at}: {pixels} px wider than the screen")
        wrong += [f"{at}: {each}" for each in page.evaluate(_VIOLATIONS)]
        screenshot(at, lambda path: page.screenshot(path=path, full_page=True))
    return wrong


@pytest.mark.parametrize("make", [pages, panels, sign_in_pages])
@pytest.mark.parametrize("language", SCREENS)
def test_everybody_can_read_every_page_of_the_gates_own(
    context: BrowserContext, language: str, make: Callable[[str], dict[str, bytes]]
) -> None:
    made, wrong = make(language), []
    assert len(made) > 10
    page = context.new_page()
    with at_address(showing(made)) as address:
        for name in made:
            page.goto(f"{address}/{name}")
            wrong += findings(page, f"{language}-{name}", language)
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
    assert findings(page, "status", "en") == []
    for width, _ in SCREENS["en"]:
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
