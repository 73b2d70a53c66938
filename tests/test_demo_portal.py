"""The demo's portal from outside: its pages, its cookie, and what its verify API says."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any, Final, TypeAlias

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from gate.demo import portal
from gate.demo.portal import PEOPLE, Reception, make_portal

DOCS: Final = "http://127.0.0.1:8080"
NOW: Final = 1_790_000_000.0

Browser: TypeAlias = TestClient[web.Request, web.Application]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Page(HTMLParser):
    """The elements of a page with their attributes, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def browser(aiohttp_client: AiohttpClient, clock: Clock) -> Browser:
    return await aiohttp_client(await asyncio.to_thread(make_portal, DOCS, clock=clock))


async def sign_in(browser: Browser, person: str) -> ClientResponse:
    return await browser.post("/sign-in", data={"person": person}, allow_redirects=False)


async def token_of_a_page(browser: Browser, path: str = "/docs-frame") -> str:
    html = await (await browser.get(path)).text()
    found = re.search(r'(?:\?token=|name="token" value=")([A-Za-z0-9_-]+)"', html)
    assert found is not None
    return found[1]


async def verdict(browser: Browser, token: str) -> Any:
    answer = await browser.get("/api/verify", params={"token": token})
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return await answer.json()


async def valid(browser: Browser, token: str) -> Any:
    return await (await browser.get("/api/valid", params={"token": token})).json()


@pytest.mark.parametrize("path", ["/", "/docs", "/docs-frame", "/docs-form"])
async def test_a_stranger_is_sent_to_the_sign_in_page(browser: Browser, path: str) -> None:
    answer = await browser.get(path, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")


async def test_the_sign_in_page_offers_each_person_by_role(browser: Browser) -> None:
    html = await (await browser.get("/sign-in")).text()
    assert [button["value"] for button in Page(html).all("button")] == list(PEOPLE)
    assert all(person.role in html for person in PEOPLE.values())


@pytest.mark.parametrize("person", PEOPLE)
async def test_signing_in_sets_a_cookie_of_the_portals_own(browser: Browser, person: str) -> None:
    answer = await sign_in(browser, person)
    assert (answer.status, answer.headers["Location"]) == (303, "/docs")
    cookie = SimpleCookie(answer.headers["Set-Cookie"])["portal"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert PEOPLE[person].role in await (await browser.get("/docs")).text()


@pytest.mark.parametrize("form", [{"person": "nobody"}, {"person": ""}, {}, {"person": "<b>"}])
async def test_an_unknown_person_is_not_signed_in(browser: Browser, form: dict[str, str]) -> None:
    answer = await browser.post("/sign-in", data=form, allow_redirects=False)
    assert answer.status == 400
    assert "Set-Cookie" not in answer.headers
    assert 'role="alert"' in await answer.text()


async def test_the_frame_gets_the_token_in_its_address(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    (frame,) = Page(await (await browser.get("/docs-frame")).text()).all("iframe")
    assert re.fullmatch(re.escape(DOCS) + r"/\?token=[A-Za-z0-9_-]{43}", frame["src"])
    assert frame["title"] == "Documentation"


async def test_a_slash_after_the_docs_address_is_not_doubled(aiohttp_client: AiohttpClient) -> None:
    browser = await aiohttp_client(await asyncio.to_thread(make_portal, DOCS + "/"))
    await sign_in(browser, "colleague")
    assert f'src="{DOCS}/?token=' in await (await browser.get("/docs-frame")).text()


async def test_the_form_posts_the_token_into_the_named_frame(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    page = Page(await (await browser.get("/docs-form")).text())
    (form,) = [form for form in page.all("form") if form["action"] == f"{DOCS}/-/session"]
    assert (form["method"], form["target"]) == ("post", "frame")
    assert [frame["name"] for frame in page.all("iframe")] == ["frame"]
    fields = {field["name"]: field["value"] for field in page.all("input")}
    assert fields["next"] == "/"
    assert (await verdict(browser, fields["token"]))["active"] is True


async def test_every_page_view_has_a_token_of_its_own(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    tokens = {
        await token_of_a_page(browser, path)
        for path in ("/docs-frame", "/docs-frame", "/docs-form")
    }
    assert len(tokens) == 3


async def test_the_colleague_is_welcome_for_a_working_day(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    token = await token_of_a_page(browser)
    assert await verdict(browser, token) == {
        "active": True,
        "sub": "colleague",
        "exp": int(NOW) + 8 * 3600,
    }
    assert await valid(browser, token) is True


async def test_the_former_colleague_is_refused(browser: Browser) -> None:
    await sign_in(browser, "former-colleague")
    token = await token_of_a_page(browser)
    assert await verdict(browser, token) == {"active": False}
    assert await valid(browser, token) is False


async def test_the_visitor_is_welcome_for_a_minute_and_no_longer(
    browser: Browser, clock: Clock
) -> None:
    await sign_in(browser, "visitor")
    token = await token_of_a_page(browser)
    assert (await verdict(browser, token))["exp"] == int(NOW) + 60
    clock.now += 59
    assert await valid(browser, token) is True
    clock.now += 1
    assert await verdict(browser, token) == {"active": False}
    assert await valid(browser, token) is False


async def test_a_reload_gives_the_visitor_another_minute(browser: Browser, clock: Clock) -> None:
    await sign_in(browser, "visitor")
    clock.now += 61
    assert await valid(browser, await token_of_a_page(browser)) is True


@pytest.mark.parametrize("query", ["", "?token=", "?token=unknown", "?token=%FF", "?other=1"])
async def test_a_token_never_handed_out_is_no(browser: Browser, query: str) -> None:
    assert await (await browser.get("/api/verify" + query)).json() == {"active": False}
    assert await (await browser.get("/api/valid" + query)).json() is False


async def test_signing_out_ends_the_tokens_and_the_cookie(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    tokens = [await token_of_a_page(browser), await token_of_a_page(browser, "/docs-form")]
    answer = await browser.post("/sign-out", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert SimpleCookie(answer.headers["Set-Cookie"])["portal"]["max-age"] == "0"
    assert [await valid(browser, token) for token in tokens] == [False, False]
    assert (await browser.get("/docs", allow_redirects=False)).status == 303


async def test_signing_in_as_another_ends_the_first_ones_tokens(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    token = await token_of_a_page(browser)
    await sign_in(browser, "visitor")
    assert await valid(browser, token) is False


async def test_signing_out_without_having_signed_in_is_no_error(browser: Browser) -> None:
    assert (await browser.post("/sign-out", allow_redirects=False)).status == 303


async def test_signing_out_takes_a_post(browser: Browser) -> None:
    await sign_in(browser, "colleague")
    await browser.get("/sign-out")
    assert (await browser.get("/docs", allow_redirects=False)).status == 200


def test_the_oldest_tokens_go_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal, "_MAX_TOKENS", 2)
    reception = Reception(clock)
    visit = reception.sign_in(PEOPLE["colleague"])
    tokens = [reception.hand_out(visit) for _ in range(3)]
    assert [reception.verdict(token)["active"] for token in tokens] == [False, True, True]


def test_the_oldest_visits_go_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal, "_MAX_SIGNED_IN", 2)
    reception = Reception(clock)
    visits = [reception.sign_in(PEOPLE["colleague"]) for _ in range(3)]
    assert [reception.person(visit) is not None for visit in visits] == [False, True, True]


PAGES: Final = [
    "/",
    "/docs",
    "/docs-frame",
    "/docs-form",
    "/sign-in",
    "/empty-frame",
    "/nowhere",
    "/sign-out",
]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("person", PEOPLE)
async def test_pages_hold_nothing_a_strict_policy_forbids(
    browser: Browser, person: str, path: str
) -> None:
    await sign_in(browser, person)
    answer = await browser.get(path)
    page = Page(await answer.text())
    assert page.elements
    assert page.all("style") == []
    # by address alone: an inline script has none
    places = ("/static/", f"{DOCS}/-/embed.js")
    assert all(script["src"].startswith(places) for script in page.all("script"))
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name == "style" or name.startswith("on")]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


async def test_every_answer_wears_the_portals_headers(browser: Browser) -> None:
    for path in [*PAGES, "/static/portal.css", "/static/nothing.css", "/api/verify"]:
        answer = await browser.get(path, allow_redirects=False)
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert f"frame-src 'self' {DOCS}; form-action 'self' {DOCS};" in policy
        storing = "no-cache" if path.startswith("/static/") else "no-store"
        assert answer.headers["Cache-Control"] == storing


async def test_what_the_pages_load_is_there(browser: Browser) -> None:
    page = Page(await (await browser.get("/sign-in")).text())
    own = [link["href"] for link in page.all("link")] + [i["src"] for i in page.all("img")]
    assert own
    for address in own:
        assert (await browser.get(address)).status == 200


async def test_an_unknown_page_is_a_page_and_does_not_repeat_the_address(
    browser: Browser,
) -> None:
    answer = await browser.get("/wages-of-the-board")
    assert answer.status == 404
    assert "wages" not in await answer.text()
