"""How long a session lives, and the storage that brings it to aiohttp-session's interface."""

import re
from typing import TypeAlias

import aiohttp_session
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from gate import session as sessions
from gate.session import FUTURE_SECONDS, SessionSeal, SessionStorage
from tests.fakes import FakeClock
from tests.test_session import (
    ATTRIBUTES,
    TICKET,
    TOKEN,
    cookie,
    fields,
    forged,
    fresh,
    make_seal,
)

Client: TypeAlias = TestClient[web.Request, web.Application]


@pytest.fixture
def seal(clock: FakeClock) -> SessionSeal:
    return make_seal(clock)


def test_a_session_ends_at_its_idle_limit_and_not_before(
    clock: FakeClock, seal: SessionSeal
) -> None:
    session = fresh(seal)
    clock.advance(3599)
    assert seal.alive(session)
    clock.advance(1)
    assert not seal.alive(session)


def test_a_session_in_use_ends_at_its_lifetime_and_not_before(
    clock: FakeClock, seal: SessionSeal
) -> None:
    session = fresh(seal)
    for _ in range(24):
        clock.advance(1799)
        session = seal.renewed(session)
    clock.advance(43199 - 24 * 1799)
    assert seal.alive(session)
    clock.advance(1)
    assert not seal.alive(seal.renewed(session))


def test_a_ticket_ends_when_the_verify_api_said(clock: FakeClock) -> None:
    seal = make_seal(clock, **TICKET)
    session = seal.new(TOKEN, expires=clock.wall() + 90, subject=None)
    assert seal.max_age(session) == 90
    clock.advance(89)
    assert seal.alive(session)
    clock.advance(1)
    assert not seal.alive(session)


def test_half_the_idle_time_asks_for_renewal(clock: FakeClock, seal: SessionSeal) -> None:
    session = fresh(seal)
    clock.advance(1799)
    assert not seal.half_idle(session)
    clock.advance(1)
    assert seal.half_idle(session)
    assert not seal.half_idle(seal.renewed(session))


def test_renewal_moves_the_idle_limit_alone(clock: FakeClock, seal: SessionSeal) -> None:
    session = fresh(seal)
    clock.advance(1800)
    renewed = seal.renewed(session)
    assert renewed.renewed == session.renewed + 1800
    assert (renewed.id, renewed.issued, renewed.token) == (session.id, session.issued, TOKEN)


@pytest.mark.parametrize(("ahead", "opens"), [(FUTURE_SECONDS, True), (FUTURE_SECONDS + 1, False)])
@pytest.mark.parametrize("name", ["s", "r"])
def test_a_cookie_from_the_future_is_no_session(
    clock: FakeClock, seal: SessionSeal, name: str, ahead: int, opens: bool
) -> None:
    from_ahead = forged(fields(**{name: int(clock.wall()) + ahead}))
    assert (seal.open(from_ahead) is not None) is opens


def test_a_clock_that_goes_back_by_an_hour_signs_nobody_out_and_renews_the_cookie(
    clock: FakeClock, seal: SessionSeal
) -> None:
    header = cookie(seal)
    clock.unix -= 3600
    session = seal.open(header)
    assert session is not None
    assert seal.alive(session)
    assert seal.half_idle(session), "the browser's own limit counts from the clock that was"
    renewed = seal.renewed(session)
    assert not seal.half_idle(renewed)
    assert renewed.issued == session.issued


def test_limits_hold_for_a_cookie_that_was_opened_before(
    clock: FakeClock, seal: SessionSeal
) -> None:
    header = cookie(seal)
    first = seal.open(header)
    clock.advance(3600)
    again = seal.open(header)
    assert first is not None
    assert again is not None
    assert not seal.alive(again)
    clock.advance(-3600 - FUTURE_SECONDS - 1)
    assert seal.open(header) is None


def test_opened_cookies_are_remembered_within_a_bound(
    clock: FakeClock, seal: SessionSeal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.seal.REMEMBERED", 3)
    headers = [cookie(seal) for _ in range(5)]
    opened = [seal.open(header) for header in headers]
    assert [seal.open(header) for header in headers] == opened
    assert len(seal._seal._opened) == 3
    assert seal.open(headers[-1]) is seal.open(headers[-1])


# the storage


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, seal: SessionSeal) -> Client:
    """An application of another kind: what it does with the session is in the path."""

    async def handle(request: web.Request) -> web.StreamResponse:
        held = await sessions.current(request)
        match request.path:
            case "/begin":
                await sessions.begin(request, fresh(seal))
            case "/end":
                await sessions.end(request)
            case "/raise":
                await sessions.begin(request, fresh(seal))
                raise web.HTTPSeeOther("/")
            case "/both":
                await sessions.end(request)
                await sessions.begin(request, fresh(seal))
        stored = await aiohttp_session.get_session(request)
        return web.json_response({"id": held and held.id, "new": stored.new, "shown": f"{stored}"})

    storage = SessionStorage(seal)
    app = web.Application(middlewares=[aiohttp_session.session_middleware(storage)])
    app.router.add_get("/{any:.*}", handle)
    return await aiohttp_client(app)


async def test_the_storage_brings_what_the_cookie_holds_and_writes_nothing(
    client: Client, seal: SessionSeal
) -> None:
    session = fresh(seal)
    response = await client.get("/", headers={"Cookie": cookie(seal, session)})
    told = await response.json()
    assert (told["id"], told["new"]) == (session.id, False)
    assert "CANARY" not in told["shown"]
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("value", [None, "a=1", "__Host-gate=x", b"__Host-gate=\xff\xfe"])
async def test_a_stranger_is_a_new_session_and_gets_no_cookie(
    client: Client, value: str | bytes | None
) -> None:
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
    response = await client.get("/", headers={"Cookie": text} if text else {})
    told = await response.json()
    assert response.status == 200
    assert (told["id"], told["new"]) == (None, True)
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("path", ["/begin", "/raise", "/both"])
async def test_a_session_that_begins_is_written_once_even_by_a_raised_answer(
    client: Client, seal: SessionSeal, path: str
) -> None:
    response = await client.get(path, allow_redirects=False)
    (header,) = response.headers.getall("Set-Cookie")
    assert re.fullmatch(rf"__Host-gate=\S+{re.escape(ATTRIBUTES)}3600", header)
    opened = seal.open(header.partition(";")[0])
    assert opened is not None
    assert opened.holds(TOKEN)


async def test_a_session_that_ends_is_deleted_in_the_browser(
    client: Client, seal: SessionSeal
) -> None:
    for headers in ({"Cookie": cookie(seal)}, {}):
        response = await client.get("/end", headers=headers)
        assert response.headers.getall("Set-Cookie") == [seal.deletion]


async def test_cookies_in_two_headers_count_as_one(client: Client, seal: SessionSeal) -> None:
    ours = cookie(seal)
    for pair, found in ((("a=1", ours), True), ((ours, ours), False)):
        response = await client.get("/", headers=[("Cookie", each) for each in pair])
        assert ((await response.json())["id"] is not None) is found
