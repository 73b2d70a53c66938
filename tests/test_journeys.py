"""The whole gate from outside: a person comes, reads, stays away, comes back, and leaves."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import KEY, OTHER_KEY, Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.in_turn import in_turn
from tests.raw import server_of, until
from tests.reader import Browser


async def outcomes(gate: Gate) -> list[str]:
    return [line["gate.outcome"] for line in await gate.log()]


async def test_a_first_visit_costs_one_question_and_ends_on_the_page_without_the_token(
    gate: Gate, api: FakeApi
) -> None:
    browser = Browser(gate)
    page = await browser.open(f"/guide?chapter=2&token={GOOD}")
    assert (page.status, browser.path) == (200, "/guide/?chapter=2")
    assert b"<h1>" in await page.read()
    for asset in ("/assets/main.0a1b2c3d.css", "/assets/app.js", "/assets/logo.png"):
        assert (await browser.load(asset)).status == 200
    assert api.calls == {GOOD: 1}
    assert await outcomes(gate) == ["intake", *["allowed"] * 4]


async def test_inside_navigation_needs_no_token_and_sets_no_cookie(
    gate: Gate, api: FakeApi
) -> None:
    browser = Browser(gate)
    await browser.enter()
    came_with = browser.cookie
    ways = [("/guide", 200), ("/guide/deep", 200), ("/nowhere", 404), ("/single.html", 200)]
    for path, status in ways:
        assert (await browser.open(path)).status == status
    assert (browser.cookie, api.calls) == (came_with, {GOOD: 1})


async def test_a_stranger_gets_a_page_for_people_or_a_problem_for_scripts(gate: Gate) -> None:
    browser = Browser(gate)
    page, asset = await browser.open("/guide/"), await browser.load("/assets/app.js")
    assert [page.status, asset.status] == [401, 401]
    assert (page.content_type, asset.content_type) == ("text/html", "application/problem+json")
    assert "through the portal" in await page.text()
    assert (await asset.json())["status"] == 401
    assert browser.cookie is None
    assert await outcomes(gate) == ["no_token", "no_token"]


@pytest.mark.parametrize(
    ("settings", "waits", "renewals"),
    [
        # seconds waited before each page, and the Max-Age that came with it, None for no cookie
        ({"idle_timeout": 100, "lifetime": 1000}, [49, 1, 49, 1], [None, 100, None, 100]),
        ({"idle_timeout": 100, "lifetime": 1000}, [99, 99, 99], [100, 100, 100]),
        ({"idle_timeout": 100, "lifetime": 220}, [60, 60, 60], [100, 100, 40]),
        ({"idle_timeout": 100, "lifetime": 120}, [50, 50, 19], [70, 20, None]),
    ],
)
async def test_a_page_renews_the_cookie_after_half_the_idle_time_and_never_past_the_lifetime(
    make_gate: MakeGate, clock: FakeClock, settings: Any, waits: list[int], renewals: list[int]
) -> None:
    browser = Browser(await make_gate(session=settings))
    await browser.enter()
    for wait, renewal in zip(waits, renewals, strict=True):
        clock.advance(wait)
        browser.max_age = None
        assert (await browser.open("/guide/")).status == 200
        assert browser.max_age == renewal


@pytest.mark.parametrize("memory_mib", [0, 256])
async def test_only_a_page_that_is_shown_renews(
    make_gate: MakeGate, clock: FakeClock, memory_mib: int
) -> None:
    gate = await make_gate(site={"memory_mib": memory_mib, "public": ("/single.html",)})
    reader = await gate.sign_in()
    etag = (await gate.get("/", headers=reader)).headers["ETag"]
    clock.advance(1800)
    ways: list[tuple[str, str, dict[str, str], int, bool]] = [
        ("GET", "/", {}, 200, True),
        ("HEAD", "/", {}, 200, True),
        ("GET", "/", {"If-None-Match": etag}, 304, True),
        ("GET", "/", {"Range": "bytes=0-3"}, 206, False),
        ("GET", "/", {"Range": "bytes=9999-"}, 416, False),
        ("GET", "/assets/app.js", {}, 200, False),
        ("GET", "/assets/app.js", {"If-None-Match": "*"}, 304, False),
        ("GET", "/guide", {}, 301, False),
        ("GET", "/nowhere", {}, 404, False),
        ("GET", "/", {"Authorization": f"Bearer {GOOD}"}, 200, False),
        ("GET", "/-/healthz", {}, 200, False),
        ("POST", "/", {}, 405, False),
    ]
    for method, path, headers, status, renews in ways:
        answer = await gate.request(method, path, headers={**reader, **headers})
        assert (answer.status, "Set-Cookie" in answer.headers) == (status, renews), (method, path)
        assert (answer.headers["Cache-Control"] == "no-store") >= renews


async def test_who_stays_away_too_long_is_told_so_and_comes_back_through_the_portal(
    gate: Gate, api: FakeApi, clock: FakeClock
) -> None:
    browser = Browser(gate)
    await browser.enter()
    held = browser.cookie
    clock.advance(3600)
    page = await browser.open("/guide/")
    assert (page.status, page.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "session has run out" in await page.text()
    assert browser.cookie == held, "only a refused token and sign-out delete the cookie"
    assert (await browser.open(f"/guide/?token={GOOD}")).status == 200
    assert browser.cookie != held
    assert api.calls == {GOOD: 2}
    assert (await outcomes(gate))[2:] == ["expired", "intake", "allowed"]


async def test_no_reading_prolongs_a_session_beyond_its_lifetime(
    gate: Gate, clock: FakeClock
) -> None:
    browser = Browser(gate)
    await browser.enter()
    for _ in range(23):
        clock.advance(1800)
        assert (await browser.open("/")).status == 200
    clock.advance(1800)
    assert (await browser.open("/")).status == 401
    assert (await outcomes(gate))[-1] == "expired"


async def test_a_token_revoked_at_the_api_stops_working_when_its_verdict_runs_out(
    gate: Gate, api: FakeApi, clock: FakeClock
) -> None:
    browser = Browser(gate)
    await browser.enter()
    held = browser.cookie
    api.tokens.clear()
    clock.advance(260)  # a verdict lives up to a tenth less than its 300 seconds
    assert (await browser.open("/")).status == 200
    clock.advance(41)
    page = await browser.open("/")
    assert (page.status, browser.cookie) == (401, held)
    assert "did not let you in" in await page.text()
    assert api.calls == {GOOD: 2}
    assert (await outcomes(gate))[-1] == "refused"


async def test_a_page_with_all_its_assets_asks_once_when_the_verdict_has_run_out(
    gate: Gate, api: FakeApi, clock: FakeClock
) -> None:
    browser = Browser(gate)
    await browser.enter()
    clock.advance(301)
    released = api.hold()
    waiting = [asyncio.create_task(browser.load("/assets/app.js")) for _ in range(20)]
    server = server_of(gate)
    await until(lambda: server.requests_count == 22)  # two for entering
    released.set()
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert api.calls == {GOOD: 2}


async def test_who_expires_in_a_minute_reads_for_a_minute(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await make_gate(verify={"active": "/active"})
    api.tokens[GOOD] = {"active": True, "sub": "ada", "exp": clock.wall() + 60}
    browser = Browser(gate)
    await browser.enter()
    clock.advance(59)
    assert (await browser.open("/")).status == 200
    clock.advance(1)
    assert (await browser.open("/")).status == 401


async def test_an_outage_is_not_noticed_while_the_verdict_lasts_and_costs_no_session_after(
    gate: Gate, api: FakeApi, clock: FakeClock
) -> None:
    browser = Browser(gate)
    await browser.enter()
    held = browser.cookie
    api.fail(500)
    assert (await browser.open("/")).status == 200
    clock.advance(301)
    page, asset = await browser.open("/"), await browser.load("/assets/app.js")
    assert [page.status, asset.status] == [503, 503]
    assert (page.content_type, asset.content_type) == ("text/html", "application/problem+json")
    assert int(page.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in page.headers
    api.answer = None
    assert (await browser.open("/")).status == 200
    assert browser.cookie == held
    assert (await outcomes(gate))[-3:] == ["unavailable", "unavailable", "allowed"]


async def test_an_api_that_answers_nothing_is_waited_for_no_longer_than_its_time(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(verify={"timeout": 0.05})
    released = api.hold()
    assert (await Browser(gate).open(f"/?token={GOOD}")).status == 503
    released.set()
    assert (await Browser(gate).open(f"/?token={GOOD}")).status == 200


async def test_signing_out_ends_the_session_in_this_browser(gate: Gate) -> None:
    browser = Browser(gate)
    await browser.enter()
    page = await browser.post("/-/sign-out", "")
    assert (page.status, browser.path, browser.cookie) == (200, "/-/signed-out", None)
    assert "signed out" in await page.text()
    page = await browser.open("/")
    assert (page.status, "through the portal" in await page.text()) == (401, True)
    assert await outcomes(gate) == ["intake", "allowed", "allowed", "public", "no_token"]


async def test_signing_out_at_one_worker_is_signing_out_at_the_other(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    browser = Browser(await in_turn(make_gate, 2, clock)())
    await browser.enter()
    kept = browser.cookie
    assert (await browser.post("/-/sign-out", "")).status == 200
    for _ in range(2):
        browser.cookie = kept
        assert (await browser.open("/")).status == 401


async def test_a_shared_machine_belongs_to_whom_the_portal_sent_last(
    gate: Gate, api: FakeApi
) -> None:
    api.tokens["colleague"] = True
    browser = Browser(gate)
    await browser.enter()
    first = browser.cookie
    await browser.enter("colleague")
    assert browser.cookie != first
    assert (await browser.open(f"/?token={BAD}")).status == 401
    assert browser.cookie is None
    assert (await browser.open("/")).status == 401


async def test_a_restart_keeps_sessions_and_asks_about_their_tokens_anew(
    make_gate: MakeGate, api: FakeApi
) -> None:
    browser = Browser(await make_gate())
    await browser.enter()
    await browser.gate.server.close()
    browser.gate = await make_gate()
    assert (await browser.open("/guide/")).status == 200
    assert api.calls == {GOOD: 2}


async def test_key_rotation_keeps_sessions_until_the_old_key_goes(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    browser, stale = Browser(await make_gate(keys=(OTHER_KEY,))), Browser(await make_gate())
    await browser.enter()
    stale.cookie = browser.cookie
    browser.gate = await make_gate(keys=(KEY, OTHER_KEY))
    clock.advance(1800)
    assert (await browser.open("/")).status == 200  # sealed anew
    browser.gate = stale.gate
    assert (await browser.open("/")).status == 200
    assert (await stale.open("/")).status == 401


async def test_a_failure_is_one_line_with_the_id_that_the_page_shows(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate()
    api.fail(500)
    page = await Browser(gate).open(f"/?token={GOOD}")
    (line,) = await gate.log()
    assert line["request.id"] in await page.text()
    assert line["http.response.status_code"] == 503
    assert "gate.verify_ms" in line


async def test_the_api_sees_the_token_and_nothing_of_the_reader(gate: Gate, api: FakeApi) -> None:
    await Browser(gate).open(f"/guide/?secret=1&token={GOOD}", Cookie="a=b", Referer="https://a.b/")
    (request,) = api.requests
    assert isinstance(request, web.Request)
    assert dict(request.query) == {"token": GOOD}
    assert not {"Cookie", "Referer", "Origin", "Authorization"} & request.headers.keys()
