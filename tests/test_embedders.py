"""Portals with policies of their own around the frame: COEP, `sandbox`, `credentialless`."""

from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.browsers import frame_in, screenshot
from tests.portals import Embedding, element, embedding

REQUIRE: Final = "require-corp"
NEEDED: Final = "allow-scripts allow-same-origin allow-forms allow-popups"


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    with embedding(tmp_path_factory.mktemp("embedders")) as sites:
        yield sites


@pytest.fixture(scope="module")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    """The same, of gates that say what a portal with COEP wants to hear."""
    folder = tmp_path_factory.mktemp("isolated")
    with embedding(folder, frame={"embedder_policy": REQUIRE}) as sites:
        yield sites


def open_element(page: Page, sites: Embedding, more: str = "", **headers: str) -> None:
    html = element(sites.gate, more=f'token-url="/token" {more}')
    page.goto(sites.portal.page(html, **headers))


def hears(page: Page, name: str) -> object:
    found = page.wait_for_function("name => heard.find(([each]) => each === name)", arg=name)
    return found.json_value()[1]


def sees_the_site(page: Page) -> None:
    hears(page, "ready")
    site = page.frame_locator("iframe").frame_locator("iframe")
    expect(site.locator("h1")).to_contain_text("Docs Gate")
    site.locator(".md-content").get_by_role("link", name="Getting started").first.click()
    expect(site.locator("h1")).to_contain_text("Getting started")


def code(page: Page) -> object:
    error = hears(page, "error")
    assert isinstance(error, dict)
    return error["code"]


@pytest.mark.parametrize("policy", [REQUIRE, "credentialless"])
def test_a_portal_with_coep_shows_a_gate_that_says_the_same(
    page: Page, isolated: Embedding, policy: str
) -> None:
    open_element(page, isolated, Cross_Origin_Embedder_Policy=policy)
    sees_the_site(page)


def test_a_portal_with_coep_and_coop_is_isolated_and_shows_it(
    page: Page, isolated: Embedding
) -> None:
    open_element(
        page,
        isolated,
        Cross_Origin_Embedder_Policy=REQUIRE,
        Cross_Origin_Opener_Policy="same-origin",
    )
    sees_the_site(page)
    assert page.evaluate("crossOriginIsolated")


def test_a_plain_frame_works_under_coep_too(page: Page, isolated: Embedding) -> None:
    html = f'<iframe src="{isolated.gate}/?token=TOKEN"></iframe>'
    page.goto(isolated.portal.page(html, Cross_Origin_Embedder_Policy=REQUIRE))
    expect(frame_in(page).locator("h1")).to_contain_text("Docs Gate")


def test_without_the_setting_the_browser_shows_nothing_and_the_portal_is_told(
    page: Page, sites: Embedding
) -> None:
    """The reader sees the browser's own page: "refused to connect"."""
    open_element(page, sites, Cross_Origin_Embedder_Policy=REQUIRE)
    assert code(page) == "silent"
    assert page.frames[1].url.startswith("chrome-error:")
    screenshot("element-coep-without", lambda path: page.screenshot(path=path))


def test_a_credentialless_frame_works_in_a_portal_with_coep_and_without_a_setting(
    page: Page, sites: Embedding
) -> None:
    open_element(page, sites, "credentialless", Cross_Origin_Embedder_Policy=REQUIRE)
    sees_the_site(page)
    assert page.frames[1].evaluate("window.credentialless")
    open_element(page, sites, "credentialless")
    sees_the_site(page)


def test_a_sandbox_that_allows_enough_works(page: Page, sites: Embedding) -> None:
    open_element(page, sites, f'sandbox="{NEEDED}"')
    sees_the_site(page)


def test_a_sandbox_without_an_origin_says_what_is_missing(page: Page, sites: Embedding) -> None:
    open_element(page, sites, 'sandbox="allow-scripts allow-forms"')
    assert code(page) == "sandboxed"
    told = frame_in(page).locator("main:visible")
    expect(told.locator("h1")).to_have_text("This frame may not remember you")
    expect(told).to_contain_text("allow-same-origin")
    screenshot("element-panel-sandboxed", lambda path: page.screenshot(path=path))


def test_a_sandbox_without_scripts_says_so_too(page: Page, sites: Embedding) -> None:
    open_element(page, sites, 'sandbox="allow-same-origin"')
    assert code(page) == "silent"
    told = page.frame_locator("iframe").locator("main:visible h1")
    expect(told).to_have_text("The documentation needs JavaScript inside the portal")
    screenshot("element-panel-noscript", lambda path: page.screenshot(path=path))


def test_a_plain_frame_in_a_sandbox_without_an_origin_shows_the_text_alone(
    page: Page, sites: Embedding
) -> None:
    """To the browser, its styles and scripts are loaded by a page of another origin."""
    html = f'<iframe sandbox="allow-popups" src="{sites.gate}/?token=TOKEN"></iframe>'
    page.goto(sites.portal.page(html))
    frame = frame_in(page)
    expect(frame.locator("h1")).to_contain_text("Docs Gate")
    header = frame.locator(".md-header").first
    assert header.evaluate("header => getComputedStyle(header).position") == "static"
