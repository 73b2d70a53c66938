"""The demo's authorization server and phone from outside."""

import asyncio
import re
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient
from yarl import URL

from gate.demo.phone import CLIENT, GRANT, INTERVAL, LIFETIME
from gate.demo.portal import make_portal

Browser: TypeAlias = TestClient[web.Request, web.Application]


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def browser(aiohttp_client: AiohttpClient, clock: Clock) -> Browser:
    portal = await asyncio.to_thread(make_portal, "http://127.0.0.1:8080", clock=clock)
    return await aiohttp_client(portal)


async def begin(browser: Browser) -> dict[str, Any]:
    answer = await browser.post("/api/device", data={"client_id": CLIENT})
    assert answer.status == 200
    document: dict[str, Any] = await answer.json()
    return document


async def ask(browser: Browser, device_code: str, **more: str) -> tuple[int, dict[str, Any]]:
    form = {"client_id": CLIENT, "grant_type": GRANT, "device_code": device_code, **more}
    answer = await browser.post("/api/token", data=form)
    return answer.status, await answer.json()


async def test_an_approved_code_gives_one_token_that_the_verify_api_knows(
    browser: Browser, clock: Clock
) -> None:
    begun = await begin(browser)
    clock.now += INTERVAL
    assert await ask(browser, begun["device_code"]) == (400, {"error": "authorization_pending"})
    address = URL(begun["verification_uri_complete"])
    page = await (await browser.get(address.relative())).text()
    assert begun["user_code"] in page
    assert "did you open that page yourself" in page
    form = {"user_code": begun["user_code"], "person": "colleague"}
    assert "Approved" in await (await browser.post("/phone", data=form)).text()
    status, document = await ask(browser, begun["device_code"])
    assert (status, document["token_type"]) == (200, "Bearer")
    verdict = await browser.get("/api/verify", params={"token": document["access_token"]})
    assert (await verdict.json())["active"] is True
    assert await ask(browser, begun["device_code"]) == (400, {"error": "invalid_grant"})


async def test_a_refusal_is_told(browser: Browser) -> None:
    begun = await begin(browser)
    await browser.post("/phone", data={"user_code": begun["user_code"], "answer": "refuse"})
    assert await ask(browser, begun["device_code"]) == (400, {"error": "access_denied"})


async def test_who_asks_too_often_is_told_to_slow_down(browser: Browser, clock: Clock) -> None:
    begun = await begin(browser)
    clock.now += INTERVAL
    assert (await ask(browser, begun["device_code"]))[1] == {"error": "authorization_pending"}
    assert (await ask(browser, begun["device_code"]))[1] == {"error": "slow_down"}


async def test_a_code_runs_out(browser: Browser, clock: Clock) -> None:
    begun = await begin(browser)
    clock.now += LIFETIME
    page = await browser.get("/phone", params={"user_code": begun["user_code"]})
    assert page.status == 404
    assert await ask(browser, begun["device_code"]) == (400, {"error": "expired_token"})


async def test_strangers_and_strange_requests_get_the_standards_errors(browser: Browser) -> None:
    refused = await browser.post("/api/device", data={"client_id": "other"})
    assert (refused.status, await refused.json()) == (401, {"error": "invalid_client"})
    assert (await ask(browser, "x", client_id="other"))[0] == 401
    assert (await ask(browser, "x"))[1] == {"error": "invalid_grant"}
    assert (await ask(browser, "x", grant_type="y"))[1] == {"error": "unsupported_grant_type"}


async def test_a_code_may_be_typed_as_it_comes(browser: Browser) -> None:
    code = (await begin(browser))["user_code"]
    for typed in (code.lower(), code.replace("-", ""), f" {code} "):
        page = await browser.get("/phone", params={"user_code": typed})
        assert code in await page.text()
    for typed in ("", "AEIOU", "<b>"):
        page = await browser.get("/phone", params={"user_code": typed})
        assert not re.search(f"{code}|<b>", await page.text())


async def test_an_unknown_person_approves_nothing(browser: Browser, clock: Clock) -> None:
    begun = await begin(browser)
    form = {"user_code": begun["user_code"], "person": "nobody"}
    assert (await browser.post("/phone", data=form)).status == 400
    clock.now += INTERVAL
    assert (await ask(browser, begun["device_code"]))[1] == {"error": "authorization_pending"}
