"""Three browsers behind one interface: find, click, type, look, some frames deep.

Everything waits until it is there, at most PATIENCE; nothing is expected here.
"""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from playwright.sync_api import Frame, FrameLocator, Locator, Page, sync_playwright
from selenium.common import exceptions as selenium_errors
from selenium.webdriver import WebKitGTKOptions
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait
from selenium.webdriver.webkitgtk.service import Service

from tests.browsers import (
    PATIENCE,
    By,
    Cookies,
    Marionette,
    Wait,
    chromium,
    errors,
    firefox,
    program,
)

_MINIBROWSER: Final = "/usr/lib/{}/webkit2gtk-4.1/MiniBrowser"
_MACHINES: Final = ("x86_64-linux-gnu", "aarch64-linux-gnu")
_SCREEN: Final = "1280x900x24"


_ENTER: Final = "\ue007"  # WebDriver, section 17.4.2
_IN_SHADOWS: Final = """
    const [selector] = arguments;
    const within = (root) => [...root.querySelectorAll("*")].filter((each) => each.shadowRoot)
      .flatMap(({ shadowRoot: inner }) => [...inner.querySelectorAll(selector), ...within(inner)]);
    return within(document);
"""


class Browser(Protocol):
    """`frames` says how deep: 0 is the portal's page, 1 the frame in it, and so on."""

    def open(self, address: str) -> None: ...

    def reload(self) -> None: ...

    def see(self, frames: int, selector: str, text: str = "") -> None:
        """Until something visible matches and holds the text."""

    def click(self, frames: int, selector: str, text: str = "") -> None: ...

    def type(self, frames: int, selector: str, keys: str) -> None:
        """A new line presses Enter."""

    def run(self, frames: int, script: str) -> Any:
        """The body of a function, in the page's own world."""

    def until(self, frames: int, script: str) -> None:
        """Until an expression is true there."""

    def to_newest_tab(self) -> None:
        """Once another tab has opened, look at that one."""

    def screenshot(self, path: Path) -> object: ...


class ChromiumPage:
    """A page that Playwright has opened."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def open(self, address: str) -> None:
        self._page.goto(address)

    def reload(self) -> None:
        self._page.reload()

    def see(self, frames: int, selector: str, text: str = "") -> None:
        self._find(frames, selector, text).wait_for()

    def click(self, frames: int, selector: str, text: str = "") -> None:
        self._find(frames, selector, text).click()

    def type(self, frames: int, selector: str, keys: str) -> None:
        self._find(frames, selector, "").press_sequentially(keys)

    def run(self, frames: int, script: str) -> Any:
        return self._frame(frames).evaluate(f"() => {{ {script} }}")

    def until(self, frames: int, script: str) -> None:
        frame, end = self._frame(frames), time.monotonic() + PATIENCE
        while not frame.evaluate(f"() => {script}"):  # Playwright's own way is eval in the page
            assert time.monotonic() < end, script
            self._page.wait_for_timeout(20)

    def to_newest_tab(self) -> None:
        pages = self._page.context.pages
        self._page = pages[-1] if len(pages) > 1 else self._page.context.wait_for_event("page")

    def screenshot(self, path: Path) -> object:
        return self._page.screenshot(path=path)

    def _find(self, frames: int, selector: str, text: str) -> Locator:
        place: Page | FrameLocator = self._page
        for _ in range(frames):
            place = place.frame_locator("iframe")
        return place.locator(selector).filter(has_text=text, visible=True).first

    def _frame(self, frames: int) -> Frame:
        frame = self._page.main_frame
        for _ in range(frames):
            element = frame.wait_for_selector("iframe", state="attached")
            inner = element.content_frame() if element else None
            assert inner is not None
            frame = inner
        return frame


class _Remote:
    """What the WebDriver family has in common: it looks into one frame at a time, at pages that may
    change between two looks."""

    _driver: Any

    def click(self, frames: int, selector: str, text: str = "") -> None:
        self._act(frames, selector, text, lambda element: element.click())

    def see(self, frames: int, selector: str, text: str = "") -> None:
        self._act(frames, selector, text, lambda element: None)

    def type(self, frames: int, selector: str, keys: str) -> None:
        typed = keys.replace("\n", _ENTER)
        self._act(frames, selector, "", lambda element: element.send_keys(typed))

    def run(self, frames: int, script: str) -> Any:
        self._wait(lambda: self._enter(frames), f"no frame {frames}")
        return self._script(script)

    def until(self, frames: int, script: str) -> None:
        self._wait(
            lambda: self._enter(frames) and bool(self._script(f"return {script}")), f"not {script}"
        )

    def to_newest_tab(self) -> None:
        self._wait(lambda: len(self._driver.window_handles) > 1, "no other tab")
        self._to_tab(self._driver.window_handles[-1])

    def _to_tab(self, handle: str) -> None:
        raise NotImplementedError

    def _act(self, frames: int, selector: str, text: str, act: Callable[[Any], object]) -> None:
        def acted() -> bool:
            if not self._enter(frames):
                return False
            for element in self._find(selector):
                if text in element.text and element.is_displayed():
                    act(element)
                    return True
            return False

        self._wait(acted, f"no {selector} with {text!r}")

    def _find(self, selector: str) -> list[Any]:
        plain = self._driver.find_elements(By.CSS_SELECTOR, selector)
        return plain or self._script(_IN_SHADOWS, selector) or []

    def _enter(self, frames: int) -> bool:
        self._to_frame(None)
        for _ in range(frames):
            found = self._driver.find_elements(By.CSS_SELECTOR, "iframe")
            if not found:
                return False
            self._to_frame(found[0])
        return True

    def _to_frame(self, element: Any) -> None:
        raise NotImplementedError

    def _wait(self, holds: Callable[[], bool], message: str) -> None:
        raise NotImplementedError

    def _script(self, script: str, *given: str) -> Any:
        raise NotImplementedError


class _Firefox(_Remote):
    def __init__(self, driver: Marionette) -> None:
        self._driver = driver

    def open(self, address: str) -> None:
        self._driver.navigate(address)

    def reload(self) -> None:
        self._driver.switch_to_frame()
        self._driver.refresh()

    def screenshot(self, path: Path) -> object:
        self._driver.switch_to_frame()
        return path.write_bytes(self._driver.screenshot(format="binary", full=False))

    def _to_tab(self, handle: str) -> None:
        self._driver.switch_to_window(handle)

    def _to_frame(self, element: Any) -> None:
        self._driver.switch_to_frame(element)

    def _wait(self, holds: Callable[[], bool], message: str) -> None:
        changed = (
            errors.StaleElementException,
            errors.NoSuchWindowException,
            errors.NoSuchFrameException,
            errors.ElementNotAccessibleException,
            errors.ElementClickInterceptedException,
            errors.JavascriptException,
        )
        wait = Wait(self._driver, PATIENCE, ignored_exceptions=changed)
        wait.until(lambda _: holds(), message=message)

    def _script(self, script: str, *given: str) -> Any:
        return self._driver.execute_script(script, given, sandbox=None)


class _WebKit(_Remote):
    def __init__(self, driver: WebDriver) -> None:
        self._driver = driver

    def open(self, address: str) -> None:
        self._driver.get(address)

    def reload(self) -> None:
        self._to_frame(None)
        self._driver.refresh()

    def screenshot(self, path: Path) -> object:
        self._to_frame(None)
        return self._driver.save_screenshot(str(path))

    def _to_tab(self, handle: str) -> None:
        self._driver.switch_to.window(handle)

    def _to_frame(self, element: Any) -> None:
        if element is None:
            self._driver.switch_to.default_content()
        else:
            self._driver.switch_to.frame(element)

    def _wait(self, holds: Callable[[], bool], message: str) -> None:
        wait = WebDriverWait(
            self._driver, PATIENCE, 0.1, ignored_exceptions=(selenium_errors.WebDriverException,)
        )
        wait.until(lambda _: holds(), message)

    def _script(self, script: str, *given: str) -> Any:
        return self._driver.execute_script(script, *given)


@contextlib.contextmanager
def started_chromium(folder: Path, cookies: Cookies) -> Iterator[Browser]:
    with sync_playwright() as playwright, chromium(playwright, folder, cookies) as context:
        yield ChromiumPage(context.pages[0])


@contextlib.contextmanager
def started_firefox(folder: Path, preferences: Mapping[str, object]) -> Iterator[Browser]:
    driver = firefox(folder, preferences)
    try:
        yield _Firefox(driver)
    finally:
        driver.cleanup()


@contextlib.contextmanager
def started_webkit(folder: Path, *arguments: str) -> Iterator[Browser]:
    """WebKitGTK on a screen of its own. It is not Safari, but a browser without CHIPS."""
    program("WebKitWebDriver")
    options = WebKitGTKOptions()
    options.binary_location = _minibrowser()
    for argument in ("--automation", *arguments):
        options.add_argument(argument)
    options.set_capability("acceptInsecureCerts", True)
    with _screen() as display:
        environment = {**os.environ, "DISPLAY": display, "HOME": str(folder)}
        environment |= {"XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        service = Service(program("WebKitWebDriver"), env=environment)
        service.start()
        try:
            # selenium's own class for this browser uses a deprecated way to name the address
            config = ClientConfig(remote_server_addr=service.service_url)
            executor = RemoteConnection(client_config=config)
            driver = WebDriver(command_executor=executor, options=options)
            try:
                yield _WebKit(driver)
            finally:
                driver.quit()
        finally:
            service.stop()


def _minibrowser() -> str:
    places = [_MINIBROWSER.format(machine) for machine in _MACHINES]
    found = next((place for place in places if shutil.which(place)), None)
    if found is None:
        pytest.skip("WebKitGTK's MiniBrowser is not installed")
    return found


@contextlib.contextmanager
def _screen() -> Iterator[str]:
    """An X server without a screen; its DISPLAY."""
    with subprocess.Popen(
        [program("Xvfb"), "-displayfd", "1", "-screen", "0", _SCREEN, "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        guard = threading.Timer(PATIENCE, server.kill)
        guard.start()
        try:
            number = server.stdout.readline().strip()
            guard.cancel()
            assert number, "the X server did not start"
            yield f":{number}"
        finally:
            server.terminate()
