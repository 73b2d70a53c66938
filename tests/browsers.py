"""Real browsers, and what they look at: a portal on http://localhost and a gate on
http://127.0.0.1, which are two sites to a browser, served from a thread of their own.

Only starting, stopping and finding things may live here; what is expected stands in the tests.
"""

import asyncio
import base64
import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import ssl
import threading
import urllib.request
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import pytest
from aiohttp import web
from playwright.sync_api import BrowserContext, Frame, Page, Playwright, expect

from gate.app import make_app
from gate.clocks import Clocks
from gate.config.settings import Settings
from gate.demo.portal import make_portal
from gate.parts import State
from gate.site.index import read_site
from gate.state.journal import Journal
from gate.state.keys import Keys
from gate.state.revocations import Revocations
from tests.fakes import FakeClock

with warnings.catch_warnings():
    # mozinfo 1.2 asks the distro package in a deprecated way while it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    from marionette_driver import By as By
    from marionette_driver import Wait as Wait
    from marionette_driver import errors as errors
    from marionette_driver.marionette import Marionette as Marionette
    from mozprofile import profile as mozprofile

for _kind in (mozprofile.BaseProfile, mozprofile.Profile, mozprofile.FirefoxProfile):
    # `cleanup` is called; when the collector calls it again, it meets whatever test runs
    if "__del__" in vars(_kind):
        del _kind.__del__

BUILT: Final = Path(__file__).parent.parent / "site"
"""The handbook as it is committed."""

BUILT_FOR: Final = "http://127.0.0.1:8080/"
"""The address in its sitemap, which instant navigation compares with its own."""

PATIENCE: Final = 20.0
"""Seconds for anything a browser does; reached only where something is broken."""

expect.set_options(timeout=PATIENCE * 1000)

CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
FIREFOX: Final = ("firefox-esr", "firefox")
"""What the programs are called, Debian's name first."""

Cookies: TypeAlias = Literal["allowed", "third-party blocked", "all blocked"]

_PREFERENCES: Final[Mapping[Cookies, Mapping[str, object]]] = {
    "allowed": {"cookie_controls_mode": 0, "block_third_party_cookies": False},
    "third-party blocked": {"cookie_controls_mode": 1, "block_third_party_cookies": True},
    "all blocked": {"default_content_setting_values": {"cookies": 2}},
}

CHROMIUM_FLAGS: Final = (
    "--disable-gpu",
    "--disable-software-rasterizer",  # a graphics card of software takes a fifth of the time
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
)


PDF: Final = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n"
)


class Log:
    """The gate's access log, for which other threads can wait."""

    lost = 0

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._grown = threading.Condition()

    def write(self, lines: bytes, count: int = 1) -> None:
        with self._grown:
            self._entries += [json.loads(line) for line in lines.splitlines()]
            self._grown.notify_all()

    def clear(self) -> None:
        with self._grown:
            self._entries.clear()

    def outcomes(self) -> set[str]:
        """All that are in it now."""
        with self._grown:
            return {entry["gate.outcome"] for entry in self._entries}

    def paths(self) -> set[str]:
        with self._grown:
            return {entry["url.path"] for entry in self._entries}

    def counts(self) -> Counter[str]:
        """How often each path was asked for, but for styles, scripts and images."""
        with self._grown:
            return self._counts()

    def _counts(self) -> Counter[str]:
        paths = (entry["url.path"] for entry in self._entries)
        return Counter(path for path in paths if "." not in path)

    def wait_for_counts(self, least: Counter[str]) -> None:
        """Until each path was asked for at least that often."""
        with self._grown:
            assert self._grown.wait_for(lambda: self._counts() >= least, PATIENCE), self._counts()

    def wait_for(self, path: str, *outcomes: str) -> None:
        """Until the path has had these outcomes, in this order and perhaps others between."""

        def had() -> bool:
            found = iter([e["gate.outcome"] for e in self._entries if e["url.path"] == path])
            return all(outcome in found for outcome in outcomes)

        with self._grown:
            assert self._grown.wait_for(had, PATIENCE), (path, outcomes, self._entries)

    def wait_for_any(self, paths: set[str], outcomes: set[str]) -> None:
        """Until one of the paths has had one of the outcomes."""

        def had() -> bool:
            return any(
                e["url.path"] in paths and e["gate.outcome"] in outcomes for e in self._entries
            )

        with self._grown:
            assert self._grown.wait_for(had, PATIENCE), (paths, outcomes, self._entries)


class Holds:
    """Keeps back answers of an application that are decided and not sent."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[threading.Event, threading.Event]] = {}

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Connected to `on_response_prepare`, after the application's own."""
        if (held := self._held.pop(request.path, None)) is not None:
            came, released = held
            came.set()
            assert await asyncio.to_thread(released.wait, PATIENCE), "released in time"

    @contextlib.contextmanager
    def holding(self, path: str) -> Iterator[threading.Event]:
        came, released = self._held[path] = threading.Event(), threading.Event()
        try:
            yield came
        finally:
            released.set()


@dataclass(frozen=True, slots=True)
class Sites:
    """The running servers: their origins, and what a test may turn or read."""

    gate: str
    portal: str
    """The demo's portal."""
    plain: str
    """A portal that is allowed too, and shows whatever HTML it is asked to."""
    stranger: str
    """The same, and not allowed."""
    clock: FakeClock
    """The gate's and the demo portal's."""
    log: Log

    holds: Holds
    """Of the gate's answers."""

    def token(self) -> str:
        """A good token, handed out by the demo's portal."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        browser.open(self.portal + "/sign-in", data=b"person=colleague").close()
        with browser.open(self.portal + "/docs-frame") as page:
            found = re.search(r"\?token=([\w-]+)", page.read().decode())
        assert found is not None
        return found[1]

    def holding(self, path: str) -> contextlib.AbstractContextManager[threading.Event]:
        """Keep back the gate's next answer at this path as long as this lasts; the event is set
        when there is one."""
        return self.holds.holding(path)

    def showing(self, html: str, *, on: str) -> str:
        """The address of a page with this HTML on the plain portal or the stranger's."""
        return f"{on}/?html={quote(html)}"


@contextlib.contextmanager
def two_sites(folder: Path) -> Iterator[Sites]:
    """The demo's portal, and a gate that serves the handbook; *folder* is empty and ours."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    ports = [listener.getsockname()[1] for listener in listeners]
    portal, plain, stranger = (f"http://localhost:{port}" for port in ports[1:])
    gate = f"http://127.0.0.1:{ports[0]}"
    sites = Sites(gate, portal, plain, stranger, FakeClock(), Log(), Holds())
    settings = Settings.model_validate(
        {
            "site": {"root": handbook(folder, sites.gate)},
            "verify": {"url": f"http://127.0.0.1:{ports[1]}/api/verify", "active": "/active"},
            "frame": {"allowed_origins": (portal, plain)},
            "server": {"state_dir": folder / "state"},
        }
    )
    clock = sites.clock
    apps = [
        gate_app(settings, clock, sites.log),
        make_portal(sites.gate, clock=clock.wall),
        any_page(),
        any_page(),
    ]
    apps[0].on_response_prepare.append(sites.holds.on_prepare)
    with served(list(zip(apps, listeners, strict=True))):
        yield sites


def handbook(folder: Path, address: str) -> Path:
    """A copy of the built handbook whose sitemap names the address it is served at."""
    root = folder / "site"
    shutil.copytree(BUILT, root)
    sitemap = (root / "sitemap.xml").read_text("utf-8").replace(BUILT_FOR, address + "/")
    (root / "sitemap.xml").write_text(sitemap, "utf-8")
    (root / "sitemap.xml.gz").write_bytes(gzip.compress(sitemap.encode()))
    return root


def gate_app(settings: Settings, clock: FakeClock, log: Log) -> web.Application:
    """The gate, as `gate serve` makes it."""
    state = State(
        site=read_site(settings.site.root, public=settings.site.public, memory_bytes=256 << 20),
        keys=Keys((base64.urlsafe_b64encode(os.urandom(32)).decode("ascii"),)),
        revocations=Revocations(
            Journal(settings.server.state_dir / "revocations"), lifetime=3600, wall=clock.wall
        ),
    )
    return make_app(settings, state, output=log, clocks=Clocks(clock.monotonic, clock.wall))


def any_page() -> web.Application:
    """A portal that shows whatever HTML it is asked to."""

    async def page(request: web.Request) -> web.Response:
        html = f"<!doctype html><title>A portal</title>{request.query.get('html', '')}"
        return web.Response(text=html, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page)])
    return app


@contextlib.contextmanager
def served(
    apps: Sequence[tuple[web.Application, socket.socket]], *, tls: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Serve from a thread with a loop of its own, as drivers block the one that tests run in."""
    running: Future[Callable[[], object]] = Future()

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for app, listener in apps:
                runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.5)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await web.SockSite(runner, listener, ssl_context=tls).start()
            end = asyncio.Event()
            running.set_result(partial(asyncio.get_running_loop().call_soon_threadsafe, end.set))
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if running.done():
                raise
            running.set_exception(error)

    thread = threading.Thread(target=run, name="servers", daemon=True)
    thread.start()
    stop = running.result(PATIENCE)
    try:
        yield
    finally:
        stop()
        thread.join(PATIENCE)


def program(*names: str) -> str:
    """The path of a browser; the test is skipped on a machine that has none of these names."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


def chromium(playwright: Playwright, profile: Path, cookies: Cookies) -> BrowserContext:
    """Chromium with a new profile, to be closed by the caller."""
    preferences = profile / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps({"profile": _PREFERENCES[cookies]}))
    context = playwright.chromium.launch_persistent_context(
        profile,
        executable_path=program(*CHROMIUM),
        args=CHROMIUM_FLAGS,
        chromium_sandbox=os.geteuid() != 0,  # its sandbox refuses root
    )
    context.set_default_timeout(PATIENCE * 1000)
    return context


def firefox(folder: Path, preferences: Mapping[str, object] | None = None) -> Marionette:
    """Firefox with a new profile, at its defaults but for these, to be ended by `cleanup`."""
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = program(*FIREFOX)
    with warnings.catch_warnings():
        # while it waits for Firefox, it forgets to close the sockets of attempts that failed
        warnings.simplefilter("ignore", ResourceWarning)
        browser = Marionette(
            bin=path,
            headless=True,
            port=port,
            workspace=str(folder),
            prefs=dict(preferences or {}),
            gecko_log=str(folder / "gecko.log"),
        )
    browser.start_session()
    return browser


def frame_in(page: Page | Frame) -> Frame:
    """What the one frame of a page, or of a frame, shows."""
    element = page.wait_for_selector("iframe", state="attached")
    frame = element.content_frame() if element else None
    assert frame is not None
    return frame


def screenshot(name: str, take: Callable[[Path], object]) -> None:
    """Into the folder that $GATE_SCREENSHOTS names, if it does."""
    folder = os.environ.get("GATE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        take(Path(folder) / f"{name}.png")
