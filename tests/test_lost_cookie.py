"""A browser that keeps no cookie is told so; whoever else has none is not."""

import pytest

from tests.conftest import Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.raw import ask
from tests.reader import Browser

TOLD = "did not remember you"


@pytest.mark.parametrize(
    "way",
    [
        {"path": f"/?token={GOOD}"},
        {"path": f"/guide?a=%31&token={GOOD}"},
        {"path": f"/nowhere?token={GOOD}"},
        {"path": "/-/session", "data": f"token={GOOD}"},
        {"path": "/-/session", "data": f"token={GOOD}&next=/guide%3Fa=b%23part"},
    ],
)
async def test_after_an_intake_the_page_says_that_the_browser_kept_no_cookie(
    gate: Gate, api: FakeApi, way: dict[str, str]
) -> None:
    browser = Browser(gate, keeps_cookies=False)
    page = await (browser.post(**way) if "data" in way else browser.open(**way))
    assert (page.status, page.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert TOLD in await page.text()
    assert "Set-Cookie" not in page.headers
    again = await browser.open(browser.path)
    assert TOLD not in await again.text()
    assert [line["gate.outcome"] for line in await gate.log()] == ["intake", "no_token", "no_token"]


async def test_it_is_said_only_where_the_intake_led_and_soon_after_it(
    gate: Gate, clock: FakeClock
) -> None:
    browser = Browser(gate, keeps_cookies=False)
    for path, agent, wait in [
        ("/", "a browser", 16),
        ("/guide/", "a browser", 0),
        ("/?a=b", "a browser", 0),
        ("/", "another browser", 0),
    ]:
        await ask(gate, f"/?token={GOOD}", "User-Agent: a browser")
        clock.advance(wait)
        browser.cookie = None
        page = await browser.open(path, **{"User-Agent": agent})
        assert (page.status, TOLD in await page.text()) == (401, False)


async def test_a_cookie_that_came_back_settles_it(gate: Gate) -> None:
    browser = Browser(gate)
    await browser.enter()
    browser.cookie = None
    assert TOLD not in await (await browser.open("/")).text()


async def test_a_cookie_that_does_not_open_was_kept_nevertheless(gate: Gate) -> None:
    browser = Browser(gate)
    await ask(gate, f"/?token={GOOD}", "User-Agent: a browser")
    browser.cookie = "__Host-gate=of-another-key"
    page = await browser.open("/")
    assert (page.status, TOLD in await page.text()) == (401, False)


async def test_a_refused_token_an_expired_session_and_a_script_are_told_their_own(
    gate: Gate, clock: FakeClock
) -> None:
    browser = Browser(gate, keeps_cookies=False)
    assert TOLD not in await (await browser.open(f"/?token={BAD}")).text()
    await ask(gate, f"/?token={GOOD}", "User-Agent: a browser")
    asset = await browser.load("/", **{"User-Agent": "a browser"})
    assert (asset.status, asset.content_type) == (401, "application/problem+json")
    page = await browser.open("/")
    assert TOLD in await page.text(), "a script's request is not the page's"


async def test_behind_a_proxy_readers_are_told_apart_by_their_own_address(
    make_gate: MakeGate,
) -> None:
    gate = await make_gate(server={"trusted_proxies": ("127.0.0.1",)})
    browser = Browser(gate, keeps_cookies=False)
    await ask(gate, f"/?token={GOOD}", "User-Agent: a browser", "X-Forwarded-For: 192.0.2.1")
    other = await browser.open("/", **{"X-Forwarded-For": "192.0.2.2"})
    same = await browser.open("/", **{"X-Forwarded-For": "192.0.2.1"})
    assert [TOLD in await page.text() for page in (other, same)] == [False, True]
