"""Signing in by QR code in Chromium: a screen, and the demo's phone that reads its code.

Both clocks are real there: the phone's server wants to be asked once a second. Only where time runs
out or an answer is late do the gate's clocks stand still, and the server says what a test wants.
"""

import asyncio
import contextlib
import io
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from aiohttp import web
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from gate.app import make_app
from gate.clocks import Clocks
from gate.config.settings import Settings
from gate.demo.phone import CLIENT
from gate.demo.portal import make_portal
from gate.parts import State
from gate.site.index import read_site
from gate.state.journal import Journal
from gate.state.keys import Keys
from gate.state.revocations import Revocations
from tests.browsers import (
    BUILT,
    CHROMIUM,
    CHROMIUM_FLAGS,
    PATIENCE,
    Log,
    program,
    screenshot,
    served,
)
from tests.conftest import KEY
from tests.devices import APPROVED, SLOW_DOWN, FakeDevices
from tests.fakes import FakeApi, FakeClock

OpenScreen = Callable[..., Page]


class Company:
    """The docs, and the portal with its phone, on ports that stay the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        ports = [each.getsockname()[1] for each in self._listeners]
        self.docs, self.portal = (f"http://127.0.0.1:{port}" for port in ports)
        self.log = Log()

    @contextlib.contextmanager
    def phone(self) -> Iterator[None]:
        with served([(_elsewhere(partial(make_portal, self.docs)), self._listeners[1].dup())]):
            yield

    @contextlib.contextmanager
    def gate(self) -> Iterator[None]:
        with served([(_elsewhere(self._app), self._listeners[0].dup())]):
            yield

    def _app(self) -> web.Application:
        settings = Settings.model_validate(
            {
                "site": {"root": BUILT},
                "verify": {"url": f"{self.portal}/api/verify", "active": "/active"},
                "server": {"state_dir": self._folder},
                "sign_in": {
                    "portal_url": f"{self.portal}/docs",
                    "qr": {
                        "preset": "device",
                        "client_id": CLIENT,
                        "device_url": f"{self.portal}/api/device",
                        "token_url": f"{self.portal}/api/token",
                        "max_flows_per_address": 1000,
                    },
                },
            }
        )
        revocations = Revocations(Journal(self._folder / "revocations"), lifetime=3600)
        site = read_site(BUILT, public=(), memory_bytes=256 << 20)
        return make_app(settings, State(site, Keys((KEY,)), revocations), output=self.log)

    def close(self) -> None:
        for each in self._listeners:
            each.close()


class Late:
    """The docs with clocks that a test moves, and a server for devices whose answers it sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = FakeClock()
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [each.getsockname()[1] for each in self._listeners]
        self.docs, verify, devices = (f"http://127.0.0.1:{port}" for port in ports)
        self._api = FakeApi(url=f"{verify}/verify")
        self.devices = FakeDevices(url=devices)

    @contextlib.contextmanager
    def running(self) -> Iterator["Late"]:
        apps = [_elsewhere(self._app), self._api.app(), self.devices.app()]
        with served(list(zip(apps, self._listeners, strict=True))):
            yield self

    def pass_by(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def _app(self) -> web.Application:
        # a machine with much to do is no service that is away
        patience = {"connect_timeout": PATIENCE, "timeout": PATIENCE}
        settings = Settings.model_validate(
            {
                "site": {"root": BUILT},
                "verify": {"url": self._api.url, **patience},
                "server": {"state_dir": self._folder},
                "sign_in": self.devices.settings(**patience),
            }
        )
        revocations = Revocations(Journal(self._folder / "revocations"), lifetime=3600)
        site = read_site(BUILT, public=(), memory_bytes=256 << 20)
        clocks = Clocks(self._clock.monotonic, self._clock.wall, self._sleep)
        return make_app(
            settings, State(site, Keys((KEY,)), revocations), output=Log(), clocks=clocks
        )

    async def _sleep(self, seconds: float) -> None:
        """By a clock that another thread moves."""
        end = self._clock.ticks + seconds
        while self._clock.ticks < end:  # noqa: ASYNC110 - nothing of this loop may be touched there
            await asyncio.sleep(0.01)


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Late]:
    with Late(tmp_path).running() as late:
        yield late


def _elsewhere(make: Callable[[], web.Application]) -> web.Application:
    """Made in a thread of its own: it reads files, and this one has Playwright's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    company = Company(tmp_path_factory.mktemp("state"))
    with company.phone():
        yield company
    company.close()


@pytest.fixture(scope="module")
def docs(company: Company) -> Iterator[str]:
    """The address of a running gate."""
    with company.gate():
        yield company.docs


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    program(*CHROMIUM)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(
        executable_path=program(*CHROMIUM), args=["--no-sandbox", *CHROMIUM_FLAGS]
    )
    yield browser
    browser.close()


@pytest.fixture
def open_screen(browser: Browser) -> Iterator[OpenScreen]:
    """A page in a browser that remembers nothing. No script fails, and nothing that the policy
    forbids is tried."""
    contexts: list[BrowserContext] = []
    failures: list[str] = []

    def note(text: str) -> None:
        if "Content Security Policy" in text:
            failures.append(text)

    def new(**options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: note(message.text))
        return page

    yield new
    for context in contexts:
        context.close()
    assert failures == []


@pytest.fixture
def screen(open_screen: OpenScreen) -> Page:
    return open_screen()


def show_code(screen: Page, address: str) -> None:
    """Ask for a page, and press the button on the one that comes instead."""
    screen.goto(address)
    screen.get_by_role("button", name="Show the QR code").click()
    expect(screen.locator("h1")).to_have_text("Scan this with your phone")


def says(screen: Page, text: str) -> None:
    """Until the page says that this is how it stands; the other words are there and hidden."""
    expect(screen.get_by_role("status")).to_have_text(text, use_inner_text=True)


def scanned(screen: Page) -> str:
    """What a phone in front of this screen reads."""
    picture = Image.open(io.BytesIO(screen.locator(".code").screenshot()))
    (code,) = zxingcpp.read_barcodes(picture)
    return str(code.text)


def answer(open_screen: OpenScreen, address: str, button: str) -> None:
    """On another device: follow what was scanned, and press this button."""
    phone = open_screen(viewport={"width": 390, "height": 800})
    phone.goto(address)
    phone.get_by_role("button", name=button, exact=True).click()
    expect(phone.get_by_role("status")).to_be_visible()


def test_a_code_read_from_the_screen_and_approved_on_the_phone_opens_the_page_asked_for(
    screen: Page, open_screen: OpenScreen, company: Company, docs: str
) -> None:
    wanted = f"{docs}/settings/#verify"
    show_code(screen, wanted)
    address = scanned(screen)
    assert address.startswith(f"{company.portal}/phone?user_code=")
    assert screen.locator(".user-code").inner_text() == address.partition("=")[2]
    assert screen.get_by_role("link", name="Approve on this device").get_attribute("href") == (
        address
    )
    says(screen, "Waiting for the phone.")
    answer(open_screen, address, "Colleague")
    screen.wait_for_url(wanted)
    expect(screen.locator("h1")).to_have_text(re.compile("Settings"))


def test_a_refusal_is_told_and_beginning_again_works(
    screen: Page, open_screen: OpenScreen, docs: str
) -> None:
    show_code(screen, f"{docs}/settings/")
    answer(open_screen, scanned(screen), "Refuse")
    expect(screen.locator("h1")).to_have_text("It was refused on the phone")
    screen.get_by_role("link", name="Start again").click()
    screen.get_by_role("button", name="Show the QR code").click()
    answer(open_screen, scanned(screen), "Colleague")
    screen.wait_for_url(f"{docs}/settings/")


def test_somebody_whom_the_verify_api_does_not_know_stays_outside(
    screen: Page, open_screen: OpenScreen, docs: str
) -> None:
    show_code(screen, f"{docs}/")
    answer(open_screen, scanned(screen), "Former colleague")
    expect(screen.locator("h1")).to_have_text("The portal did not let you in")


def test_a_code_that_has_run_out_is_told_and_beginning_again_works(
    screen: Page, late: Late
) -> None:
    show_code(screen, f"{late.docs}/settings/")
    first = scanned(screen)
    expect(screen.locator("#left")).to_have_text(re.compile(r"[45]:\d\d"))
    late.pass_by(300)
    expect(screen.locator("h1")).to_have_text("The time has run out")
    assert screen.locator(".code").count() == 0
    screen.get_by_role("link", name="Start again").click()
    screen.get_by_role("button", name="Show the QR code").click()
    assert scanned(screen) != first
    late.devices.say(APPROVED)
    late.pass_by(5)
    screen.wait_for_url(f"{late.docs}/settings/")


def test_a_service_that_is_away_or_wants_to_be_asked_less_costs_patience_and_nothing_else(
    screen: Page, late: Late
) -> None:
    show_code(screen, f"{late.docs}/settings/")
    code = scanned(screen)
    late.devices.say((503, ""), SLOW_DOWN, APPROVED)
    late.pass_by(5)
    says(screen, "The sign-in service cannot be reached. We are trying again by ourselves.")
    late.pass_by(10)
    says(screen, "Waiting for the phone.")
    assert scanned(screen) == code, "it is as good as before"
    late.pass_by(10)  # 5 seconds more than there were between two questions
    screen.wait_for_url(f"{late.docs}/settings/")
    assert len(late.devices.polls) == 3


def test_two_tabs_of_one_sign_in_both_arrive(
    screen: Page, open_screen: OpenScreen, docs: str
) -> None:
    show_code(screen, f"{docs}/settings/")
    other = screen.context.new_page()
    other.goto(f"{docs}/-/sign-in/wait")
    assert scanned(other) == scanned(screen)
    answer(open_screen, scanned(screen), "Colleague")
    for tab in (screen, other):
        expect(tab.locator("h1")).to_have_text(re.compile("Settings|This sign-in is complete"))
    other.goto(f"{docs}/settings/")
    expect(other.locator("h1")).to_have_text(re.compile("Settings"))


def test_a_second_tab_that_begins_anew_takes_over(
    screen: Page, open_screen: OpenScreen, docs: str
) -> None:
    show_code(screen, f"{docs}/settings/")
    first = scanned(screen)
    other = screen.context.new_page()
    show_code(other, f"{docs}/")
    assert scanned(other) != first
    expect(screen.locator("h1")).to_have_text("This sign-in was started anew")
    answer(open_screen, scanned(other), "Colleague")
    other.wait_for_url(f"{docs}/")


def test_going_back_after_it_shows_what_was_and_no_code(
    screen: Page, open_screen: OpenScreen, docs: str
) -> None:
    show_code(screen, f"{docs}/settings/")
    answer(open_screen, scanned(screen), "Colleague")
    screen.wait_for_url(f"{docs}/settings/")
    expect(screen.locator("h1")).to_have_text(re.compile("Settings"))
    screen.go_back()
    expect(screen.locator("h1")).to_have_text("This sign-in is complete")
    assert screen.locator(".code").count() == 0
    screen.get_by_role("link", name="Open the documentation").click()
    screen.wait_for_url(f"{docs}/settings/")


def test_going_back_and_forward_while_it_waits_goes_on(
    screen: Page, open_screen: OpenScreen, docs: str
) -> None:
    show_code(screen, f"{docs}/settings/")
    code = scanned(screen)
    screen.go_back()
    expect(screen.locator("h1")).to_have_text("Sign in to read on")
    screen.go_forward()
    assert scanned(screen) == code
    answer(open_screen, code, "Colleague")
    screen.wait_for_url(f"{docs}/settings/")


def test_a_restart_of_the_gate_is_told_by_itself(screen: Page, tmp_path: Path) -> None:
    company = Company(tmp_path)
    with company.phone(), company.gate():
        show_code(screen, f"{company.docs}/settings/")
        says(screen, "Waiting for the phone.")
    with company.gate():
        expect(screen.locator("h1")).to_have_text("The documentation was restarted")
    company.close()


def test_it_works_without_scripts(open_screen: OpenScreen, docs: str) -> None:
    screen = open_screen(java_script_enabled=False)
    show_code(screen, f"{docs}/settings/")
    answer(open_screen, scanned(screen), "Colleague")
    screen.get_by_role("button", name="Open the documentation").click()
    screen.wait_for_url(f"{docs}/settings/")


def test_cancelling_goes_back_to_the_offer(screen: Page, docs: str) -> None:
    show_code(screen, f"{docs}/settings/")
    screen.get_by_role("button", name="Cancel").click()
    expect(screen.locator("h1")).to_have_text("Sign in to read on")
    assert screen.locator('input[name="next"]').input_value() == "/settings/"


def test_the_button_page_signs_out(screen: Page, open_screen: OpenScreen, docs: str) -> None:
    show_code(screen, f"{docs}/settings/")
    answer(open_screen, scanned(screen), "Colleague")
    screen.wait_for_url(f"{docs}/settings/")
    screen.goto(f"{docs}/-/sign-out")
    screen.get_by_role("button", name="Sign out").click()
    expect(screen.locator("h1")).to_have_text("You are signed out")
    screen.goto(f"{docs}/settings/")
    expect(screen.locator("h1")).to_have_text("Sign in to read on")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_pages_fit_every_screen(
    open_screen: OpenScreen, docs: str, scheme: str, width: int, language: str
) -> None:
    screen = open_screen(
        color_scheme=scheme, viewport={"width": width, "height": 800}, locale=language
    )
    name = f"sign-in-{language}-{scheme}-{width}"

    def look(what: str) -> None:
        overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not screen.evaluate(overflow), what
        picture = f"{name}-{what}"
        screenshot(picture, lambda path: screen.screenshot(path=path, full_page=True))

    screen.goto(f"{docs}/settings/")
    look("offer")
    screen.locator("form button").click()
    expect(screen.locator(".code")).to_be_visible()
    assert "user_code=" in scanned(screen), "readable in the dark too"
    look("wait")
    screen.locator(".scan form button").click()
    screen.goto(f"{docs}/-/sign-in/wait")
    look("cancelled")
    screen.goto(f"{docs}/-/sign-out")
    look("sign-out")
