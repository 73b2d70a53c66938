"""Signing in by QR code, from outside: the whole gate, with an authorization server on a socket."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import aiohttp
import pytest

from gate.sign_in.handlers import MAX_STREAMS
from tests.conftest import KEY, OTHER_KEY, Gate, MakeGate, cookie_of
from tests.devices import (
    APPROVED,
    DEVICE_CODE,
    PENDING,
    SLOW_DOWN,
    USER_CODE,
    FakeDevices,
    error,
    running_devices,
)
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.in_turn import InTurn, in_turn

PERSON = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
START, WAIT, EVENTS = "/-/sign-in/start", "/-/sign-in/wait", "/-/sign-in/events"
FINISH, CANCEL = "/-/sign-in/finish", "/-/sign-in/cancel"


@pytest.fixture
async def devices() -> AsyncIterator[FakeDevices]:
    async with running_devices() as fake:
        yield fake


# what is counted is counted by each worker
in_one_worker = pytest.mark.parametrize("make_gate", [1], indirect=True)


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def make_gate(make_gate: MakeGate, request: pytest.FixtureRequest, clock: FakeClock) -> MakeGate:
    return in_turn(make_gate, request.param, clock)


@pytest.fixture
async def gate(make_gate: MakeGate, devices: FakeDevices) -> Gate:
    return await make_gate(sign_in=devices.settings())


def own(gate: Gate, **more: str) -> dict[str, str]:
    """The headers of a form that a page of the gate's own sends."""
    return {"Origin": gate.origin, "Sec-Fetch-Site": "same-origin", **PERSON, **more}


async def begin(gate: Gate, *, wanted: str = "/guide/", **fields: str) -> dict[str, str]:
    """Press the button on the page that stands in for this one; the header with the flow cookie."""
    headers = own(gate, Referer=gate.origin + wanted)
    answer = await gate.post(START, headers=headers, data={"next": "", **fields})
    assert (answer.status, answer.headers["Location"]) == (303, WAIT)
    return {"Cookie": cookie_of(answer)}


async def finish(gate: Gate, cookie: dict[str, str]) -> aiohttp.ClientResponse:
    return await gate.post(FINISH, headers=own(gate, **cookie), data={})


class Stream:
    """An open event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.raw = b""

    async def state(self) -> str:
        """The state of the next event; "" at the end of the stream."""
        async for line in self._response.content:
            self.raw += line
            if line.startswith(b"data: "):
                return str(json.loads(line.removeprefix(b"data: "))["state"])
        return ""

    async def until(self, wanted: str) -> None:
        while (state := await self.state()) != wanted:
            assert state, f"the stream ended before it was {wanted}"


class Listener:
    """Opens event streams, and closes them at the end."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self.responses: list[aiohttp.ClientResponse] = []

    async def open(self, gate: Gate, cookie: dict[str, str]) -> Stream:
        response = await self._client.get(
            gate.address(EVENTS), headers={"Host": gate.origin.removeprefix("http://"), **cookie}
        )
        self.responses.append(response)
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        return Stream(response)


@pytest.fixture
async def browser() -> AsyncIterator[Listener]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        listener = Listener(client)
        yield listener
        for response in listener.responses:
            response.close()


async def approved(
    browser: Listener,
    gate: Gate,
    devices: FakeDevices,
    clock: FakeClock,
    cookie: dict[str, str],
) -> Stream:
    """Let the phone say yes, and wait until the page knows."""
    stream = await browser.open(gate, cookie)
    devices.say(APPROVED)
    await clock.asleep(1)
    clock.advance(devices.interval)
    await stream.until("accepted")
    return stream


# The page that offers it


async def test_a_person_without_a_session_is_offered_a_way_in_with_status_401(gate: Gate) -> None:
    answer = await gate.get("/guide/", headers=PERSON)
    page = await answer.text()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert f'action="{START}"' in page
    assert "guide" not in page
    assert "Set-Cookie" not in answer.headers
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "same-origin", "or nobody would know the page"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "application/json"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
async def test_scripts_and_frames_get_the_401_that_they_always_got(
    gate: Gate, headers: dict[str, str]
) -> None:
    answer = await gate.get("/guide/", headers=headers)
    assert answer.status == 401
    assert START not in await answer.text()


async def test_a_session_that_ran_out_is_offered_a_way_in_too(gate: Gate, clock: FakeClock) -> None:
    cookie = await gate.sign_in()
    clock.advance(3601)
    answer = await gate.get("/guide/", headers={**PERSON, **cookie})
    assert answer.status == 401
    assert "run out" in await answer.text()
    assert START in await answer.text()


async def test_what_is_not_configured_is_not_offered(make_gate: MakeGate) -> None:
    gate = await make_gate()
    refused = await gate.get("/guide/", headers=PERSON)
    assert 'data-gate-page="no_token"' in await refused.text()
    page = await gate.get("/-/sign-in", headers=PERSON)
    assert (page.status, START in await page.text()) == (200, False)
    assert "Ask the people who run" in await page.text()
    for path, method in ((START, "POST"), (WAIT, "GET"), (EVENTS, "GET"), (FINISH, "POST")):
        assert (await gate.request(method, path, headers=own(gate))).status == 404


async def test_asking_for_pages_begins_nothing(gate: Gate, devices: FakeDevices) -> None:
    for path in ("/guide/", "/-/sign-in", "/-/sign-in?next=/guide/", WAIT, EVENTS):
        for method in ("GET", "HEAD"):
            await gate.request(method, path, headers=PERSON)
    assert (await gate.get(START, headers=own(gate))).status == 405
    assert devices.starts == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("/guide/", "/guide/"),
        ("/guide/?a=1&token=bad&b=2", "/guide/?a=1&b=2"),
        ("/nowhere", "/nowhere"),
        ("//evil.example/", "/"),
    ],
)
async def test_the_portal_is_told_the_wanted_page_whether_or_not_it_exists(
    make_gate: MakeGate, wanted: str, told: str
) -> None:
    portal = "https://portal.example.com/docs?open={path}&x=1"
    gate = await make_gate(sign_in={"portal_url": portal})
    page = await (await gate.get("/", headers=PERSON)).text()
    (link,) = re.findall(r'class="action" href="([^"]+)"', page)
    headers = {**PERSON, "Referer": gate.origin + wanted, "Sec-Fetch-Site": "same-origin"}
    answer = await gate.get(unescape(link), headers=headers)
    assert answer.status == 303
    expected = f"https://portal.example.com/docs?open={quote(told, safe='')}&x=1"
    assert answer.headers["Location"] == expected


async def test_a_page_of_another_site_is_not_what_was_wanted(make_gate: MakeGate) -> None:
    gate = await make_gate(sign_in={"portal_url": "https://portal.example.com/{path}"})
    answer = await gate.get("/-/sign-in/portal", headers={"Referer": "https://evil.example/x"})
    assert answer.headers["Location"] == "https://portal.example.com/%2F"


async def test_a_portal_that_wants_no_path_is_linked_to(make_gate: MakeGate) -> None:
    gate = await make_gate(sign_in={"portal_url": "https://portal.example.com/docs"})
    page = await (await gate.get("/guide/", headers=PERSON)).text()
    assert 'href="https://portal.example.com/docs"' in page


# The flow


async def test_from_the_button_to_the_page_first_asked_for(
    gate: Gate,
    devices: FakeDevices,
    clock: FakeClock,
    browser: Listener,
    api: FakeApi,
) -> None:
    cookie = await begin(gate, wanted="/guide/?x=1")
    page = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    assert f"{USER_CODE}1" in page
    assert '<svg viewBox="0 0' in page
    assert f'href="https://login.example.com/device?code={USER_CODE}1"' in page
    assert "Only scan this code if you opened this page yourself" in page
    assert f'<code class="origin">{gate.origin}</code>' in page
    stream = await approved(browser, gate, devices, clock, cookie)
    assert await stream.state() == "", "the stream ends with the word"
    page_when_accepted = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    assert f'action="{FINISH}"' in page_when_accepted

    answer = await finish(gate, cookie)
    assert (answer.status, answer.headers["Location"]) == (303, "/guide/?x=1")
    session = {"Cookie": cookie_of(answer)}
    assert session["Cookie"].startswith("__Host-gate=")
    assert (await gate.get("/guide/?x=1", headers=session)).status == 200
    # the one that began the session, and the one that is asked for the page
    assert api.calls[GOOD] == (2 if isinstance(gate, InTurn) else 1)
    for text in (page, page_when_accepted, stream.raw.decode()):
        assert GOOD not in text
        assert DEVICE_CODE not in text
    lines = await gate.log()
    assert GOOD not in repr(lines)
    assert DEVICE_CODE not in repr(lines)
    assert USER_CODE not in repr(lines)
    outcomes = {line["url.path"]: line["gate.outcome"] for line in lines}
    assert outcomes[FINISH] == "intake"


async def test_the_flow_cookie_is_the_browsers_alone(gate: Gate) -> None:
    answer = await gate.post(START, headers=own(gate), data={})
    (header,) = answer.headers.getall("Set-Cookie")
    value, *attributes = header.split("; ")
    assert value.startswith("__Host-gate-flow=")
    assert sorted(attributes) == ["HttpOnly", "Max-Age=360", "Path=/", "SameSite=Lax", "Secure"]
    assert DEVICE_CODE not in value


@pytest.mark.parametrize(
    ("fields", "referer", "lands"),
    [
        ({"next": "/guide/#part"}, "/", "/guide/#part"),
        ({"next": ""}, "/guide/", "/guide/"),
        ({}, "/-/sign-in?next=%2Fguide%2F", "/guide/"),
        ({}, "", "/"),
        ({"next": "/nowhere"}, "", "/"),
        ({"next": "//evil.example/"}, "", "/"),
        ({"next": "https://evil.example/"}, "", "/"),
        ({"next": "/guide/?token=bad"}, "", "/guide/"),
        ({"next": "/" + "x" * 5000}, "", "/"),
    ],
)
async def test_the_reader_lands_on_a_page_of_this_site(
    gate: Gate,
    devices: FakeDevices,
    clock: FakeClock,
    browser: Listener,
    fields: dict[str, str],
    referer: str,
    lands: str,
) -> None:
    headers = own(gate, **({"Referer": gate.origin + referer} if referer else {}))
    answer = await gate.post(START, headers=headers, data=fields)
    cookie = {"Cookie": cookie_of(answer)}
    await approved(browser, gate, devices, clock, cookie)
    assert (await finish(gate, cookie)).headers["Location"] == lands


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        (error("access_denied"), "refused", "refused on the phone"),
        (error("expired_token"), "expired", "time has run out"),
        (error("invalid_grant"), "failed", "went wrong"),
    ],
)
async def test_another_end_is_told_to_the_stream_and_on_the_page(
    gate: Gate,
    devices: FakeDevices,
    clock: FakeClock,
    browser: Listener,
    answer: tuple[int, Any],
    state: str,
    word: str,
) -> None:
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    devices.say(answer)
    await clock.asleep(1)
    clock.advance(5)
    await stream.until(state)
    page = await gate.get(WAIT, headers={**PERSON, **cookie})
    assert page.status == 410
    assert word in await page.text()
    assert 'href="/-/sign-in?next=%2Fguide%2F"' in await page.text(), "start again"
    assert (await finish(gate, cookie)).status == 410


async def test_slow_down_and_a_service_that_fails_for_a_while(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    devices.say(SLOW_DOWN, (503, ""), PENDING, APPROVED)
    assert await stream.state() == "waiting"
    for number, seconds, state in ((1, 5, ""), (2, 10, "unreachable"), (3, 20, "waiting")):
        await clock.asleep(1)
        clock.advance(seconds)
        await devices.asked(number)
        if state:
            await stream.until(state)
    await clock.asleep(1)
    clock.advance(10)
    await stream.until("accepted")
    assert {poll["device_code"] for poll in devices.polls} == {f"{DEVICE_CODE}-1"}


async def test_the_countdown_ends_it(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    page = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    assert 'data-seconds="300"' in page
    assert ">5:00<" in page
    stream = await browser.open(gate, cookie)
    await clock.asleep(1)
    clock.advance(299)
    await devices.asked(1)
    await clock.asleep(1)
    clock.advance(1)
    await stream.until("expired")


async def test_without_scripts_the_page_asks_again_and_has_a_button(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    page = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    devices.say(APPROVED)
    await clock.asleep(1)
    clock.advance(5)
    await clock.asleep(1)
    page = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    assert 'data-state="accepted"' in page
    assert f'<form id="finish" method="post" action="{FINISH}">' in page


async def test_a_token_that_the_verify_api_refuses_opens_nothing(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    devices.say((200, {"access_token": BAD, "token_type": "Bearer"}))
    await clock.asleep(1)
    clock.advance(5)
    await stream.until("accepted")
    answer = await finish(gate, cookie)
    assert answer.status == 401
    assert 'data-gate-page="refused"' in await answer.text()
    assert (await finish(gate, cookie)).status == 200, "it was used, and says so"


async def test_an_outage_of_the_verify_api_costs_no_second_scan(
    gate: Gate,
    devices: FakeDevices,
    clock: FakeClock,
    browser: Listener,
    api: FakeApi,
) -> None:
    cookie = await begin(gate)
    await approved(browser, gate, devices, clock, cookie)
    api.fail()
    answer = await finish(gate, cookie)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "Set-Cookie" not in answer.headers
    assert f'action="{FINISH}"' in await answer.text()
    api.answer = None
    clock.advance(30)
    assert (await finish(gate, cookie)).status == 303


async def test_success_is_a_new_session(
    gate: Gate,
    devices: FakeDevices,
    clock: FakeClock,
    browser: Listener,
    api: FakeApi,
) -> None:
    api.tokens["older"] = True
    before = await gate.sign_in("older")
    cookie = await begin(gate)
    await approved(browser, gate, devices, clock, cookie)
    both = {"Cookie": f"{before['Cookie']}; {cookie['Cookie']}"}
    answer = await finish(gate, both)
    assert answer.status == 303
    assert cookie_of(answer) != before["Cookie"]


async def test_a_service_that_cannot_begin_says_so(
    gate: Gate, devices: FakeDevices, caplog: pytest.LogCaptureFixture
) -> None:
    for start in ((500, ""), error("invalid_client", 401)):
        devices.start = start
        answer = await gate.post(START, headers=own(gate), data={})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "does not answer" in await answer.text()
        assert "Set-Cookie" not in answer.headers
    assert "invalid_client" in caplog.text


# The name


async def test_a_name_is_asked_for_first(make_gate: MakeGate, devices: FakeDevices) -> None:
    gate = await make_gate(
        sign_in={
            "qr": {
                "preset": "custom",
                "start_url": f"{devices.url}/device?made={{id}}",
                "poll_url": f"{devices.url}/token",
                "poll_field": "id",
                "text_pointer": "/verification_uri",
                "pending": ["status 400"],
                "accepted": ["status 200"],
                "ask_name": True,
            }
        }
    )
    page = await (await gate.get("/guide/", headers=PERSON)).text()
    assert '<label for="name">Your name</label>' in page
    for name in ("", "   ", "x" * 101, "a\x00b"):
        answer = await gate.post(START, headers=own(gate), data={"name": name})
        assert answer.status == 400
        assert 'role="alert"' in await answer.text()
        assert "Set-Cookie" not in answer.headers
    assert devices.starts == []
    answer = await gate.post(START, headers=own(gate), data={"name": " <b>Zoë</b> "})
    assert answer.status == 303


# Bounds


@in_one_worker
async def test_too_many_from_one_address_are_told_to_wait(
    make_gate: MakeGate, devices: FakeDevices
) -> None:
    gate = await make_gate(sign_in=devices.settings(max_flows_per_address=2))
    for _ in range(2):
        await begin(gate)
    answer = await gate.post(START, headers=own(gate), data={})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    assert len(devices.starts) == 2
    assert (await gate.log())[-1]["gate.outcome"] == "limited"


async def refuse_on_the_phone(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    devices.say(error("access_denied"))
    await clock.asleep(1)
    clock.advance(devices.interval)
    await stream.until("refused")


async def start(gate: Gate, **headers: str) -> aiohttp.ClientResponse:
    return await gate.post(START, headers=own(gate, **headers), data={})


@in_one_worker
async def test_who_is_refused_too_often_waits_before_beginning_anew(
    make_gate: MakeGate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    gate = await make_gate(sign_in=devices.settings(), limits={"failures_per_client": 2})
    devices.interval = 1
    for _ in range(2):
        await refuse_on_the_phone(gate, devices, clock, browser)
    asked = len(devices.starts)
    answer = await start(gate, Referer=gate.origin + "/guide/")
    page = await answer.text()
    assert (answer.status, len(devices.starts)) == (429, asked)
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert "Too many sign-ins failed" in page
    assert 'href="/-/sign-in?next=%2Fguide%2F"' in page, "start again"
    assert (await gate.get("/?token=bad", headers=PERSON)).status == 429, "one count for all ways"
    assert (await start(gate, **{"User-Agent": "another browser"})).status == 303
    clock.advance(30)
    assert (await start(gate)).status == 303
    assert "limited" in {line["gate.outcome"] for line in await gate.log()}


@in_one_worker
async def test_a_token_that_is_refused_after_the_phone_said_yes_counts(
    make_gate: MakeGate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    gate = await make_gate(sign_in=devices.settings(), limits={"failures_per_client": 1})
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    devices.say((200, {"access_token": BAD, "token_type": "Bearer"}))
    await clock.asleep(1)
    clock.advance(5)
    await stream.until("accepted")
    assert (await finish(gate, cookie)).status == 401
    assert (await start(gate)).status == 429


@in_one_worker
@pytest.mark.parametrize(
    ("method", "path"), [("GET", WAIT), ("GET", EVENTS), ("POST", FINISH), ("POST", CANCEL)]
)
async def test_a_cookie_that_somebody_made_up_counts(
    make_gate: MakeGate, devices: FakeDevices, method: str, path: str
) -> None:
    gate = await make_gate(sign_in=devices.settings(), limits={"failures_per_client": 3})
    for number in range(3):
        forged = f"__Host-gate-flow={number:032x}.9999999999.{'0' * 64}"
        await gate.request(method, path, headers=own(gate, Cookie=forged))
    assert (await start(gate)).status == 429


async def test_what_is_no_failure_of_the_person_counts_nothing(
    make_gate: MakeGate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    gate = await make_gate(sign_in=devices.settings(), limits={"failures_per_client": 1})
    cancelled = await begin(gate)
    await gate.post(CANCEL, headers=own(gate, **cancelled), data={})
    expired = await begin(gate)
    clock.advance(300)
    assert "run out" in await (await gate.get(WAIT, headers={**PERSON, **expired})).text()
    clock.advance(300)
    assert (await gate.get(EVENTS, headers=expired)).status == 401, "its cookie has run out"
    devices.start = (500, "")
    assert (await start(gate)).status == 503
    devices.start = None
    strange = {**PERSON, "Origin": "https://evil.example"}
    assert (await gate.post(START, headers=strange, data={})).status == 403
    assert (await start(gate)).status == 303


@in_one_worker
async def test_failures_of_others_do_not_cost_an_approval(
    make_gate: MakeGate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    gate = await make_gate(sign_in=devices.settings(), limits={"failures_per_client": 2})
    cookie = await begin(gate)
    await approved(browser, gate, devices, clock, cookie)
    for number in range(2):
        assert (await gate.get(f"/?token=bad{number}", headers=PERSON)).status == 401
    answer = await finish(gate, cookie)
    assert (answer.status, 1 <= int(answer.headers["Retry-After"]) <= 31) == (429, True)
    assert f'action="{FINISH}"' in await answer.text()
    clock.advance(31)
    assert (await finish(gate, cookie)).status == 303


async def test_who_begins_again_has_one_flow(gate: Gate, devices: FakeDevices) -> None:
    first = await begin(gate)
    headers = own(gate, **first)
    answer = await gate.post(START, headers=headers, data={})
    second = {"Cookie": cookie_of(answer)}
    old = await gate.get(WAIT, headers={**PERSON, **first})
    assert "started anew" in await old.text()
    assert (await gate.get(WAIT, headers={**PERSON, **second})).status == 200


async def test_a_browser_opens_so_many_streams_and_no_more(gate: Gate, browser: Listener) -> None:
    cookie = await begin(gate)
    for _ in range(MAX_STREAMS):
        stream = await browser.open(gate, cookie)
        assert await stream.state() == "waiting"
    assert (await gate.get(EVENTS, headers=cookie)).status == 429


async def test_two_tabs_hear_the_same_and_both_arrive(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    other = await browser.open(gate, cookie)
    await approved(browser, gate, devices, clock, cookie)
    await other.until("accepted")
    first = await finish(gate, cookie)
    both = {"Cookie": f"{cookie['Cookie']}; {cookie_of(first)}"}
    second = await finish(gate, both)
    assert (second.status, second.headers["Location"]) == (303, "/guide/")
    assert "Set-Cookie" not in second.headers
    assert len(devices.polls) == 1
    back = await gate.get(WAIT, headers={**PERSON, **both})
    assert back.status == 200
    assert 'href="/guide/"' in await back.text()


async def test_cancelling_ends_it_and_goes_back(gate: Gate, browser: Listener) -> None:
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    answer = await gate.post(CANCEL, headers=own(gate, **cookie), data={})
    assert answer.headers["Location"] == "/-/sign-in?next=%2Fguide%2F"
    await stream.until("cancelled")


# The end of the gate


async def test_a_restart_is_told_by_the_old_gate_and_by_the_new_one(
    make_gate: MakeGate, devices: FakeDevices, browser: Listener
) -> None:
    gate = await make_gate(sign_in=devices.settings())
    cookie = await begin(gate)
    stream = await browser.open(gate, cookie)
    assert await stream.state() == "waiting"
    await gate.server.close()
    await stream.until("restarted")
    after = await make_gate(sign_in=devices.settings(), keys=(OTHER_KEY, KEY))
    again = await browser.open(after, cookie)
    assert await again.state() == "restarted"
    page = await after.get(WAIT, headers={**PERSON, **cookie})
    assert page.status == 410
    assert "was restarted" in await page.text()
    assert (await finish(after, cookie)).status == 410


# Attacks


async def test_the_address_of_the_event_stream_is_no_use_to_others(
    gate: Gate, devices: FakeDevices
) -> None:
    await begin(gate)
    for cookie in (
        {},
        {"Cookie": "__Host-gate-flow=x"},
        {"Cookie": f"__Host-gate-flow={'0' * 32}.9999999999.{'0' * 64}"},
        {"Cookie": "__Host-gate-flow="},
        {"Cookie": "__Host-gate-flow=a.b.c"},
        {"Cookie": "__Host-gate-flow=\xff.9.z"},
    ):
        assert (await gate.get(EVENTS, headers=cookie)).status == 401
        page = await gate.get(WAIT, headers={**PERSON, **cookie})
        assert (page.status, USER_CODE in await page.text()) == (410, False)


async def test_another_site_cannot_listen(gate: Gate) -> None:
    cookie = await begin(gate)
    for site in ("cross-site", "same-site", "none"):
        answer = await gate.get(EVENTS, headers={**cookie, "Sec-Fetch-Site": site})
        assert answer.status == 403


async def test_the_cookie_of_another_browser_opens_only_that_ones_flow(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    mine, other = await begin(gate), await begin(gate, wanted="/")
    theirs = await (await gate.get(WAIT, headers={**PERSON, **other})).text()
    assert (f"{USER_CODE}1" in theirs, f"{USER_CODE}2" in theirs) == (False, True)
    value = mine["Cookie"].partition("=")[2]
    wrong = other["Cookie"].partition("=")[2]
    spliced = f"{value.partition('.')[0]}.{wrong.partition('.')[2]}"
    for planted in (spliced, value + "0", value.upper()):
        cookie = {"Cookie": f"__Host-gate-flow={planted}"}
        assert (await gate.get(EVENTS, headers=cookie)).status == 401
    twice = {"Cookie": f"{mine['Cookie']}; {other['Cookie']}"}
    assert (await gate.get(EVENTS, headers=twice)).status == 401, "which is meant nobody knows"


async def test_a_transaction_is_of_use_once(
    gate: Gate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    cookie = await begin(gate)
    await approved(browser, gate, devices, clock, cookie)
    answers = await asyncio.gather(*(finish(gate, cookie) for _ in range(5)))
    assert sum("__Host-gate=" in each.headers.get("Set-Cookie", "") for each in answers) == 1
    assert len(devices.polls) == 1


async def test_nobody_finishes_before_the_phone_said_yes(gate: Gate) -> None:
    cookie = await begin(gate)
    answer = await finish(gate, cookie)
    assert (answer.status, answer.headers["Location"]) == (303, WAIT)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", [START, FINISH, CANCEL])
@pytest.mark.parametrize("origin", ["https://evil.example", "https://portal.example", "null", None])
async def test_no_other_page_begins_ends_or_finishes_a_flow(
    make_gate: MakeGate, devices: FakeDevices, path: str, origin: str | None
) -> None:
    gate = await make_gate(
        sign_in=devices.settings(), frame={"allowed_origins": ("https://portal.example",)}
    )
    cookie = await begin(gate)
    headers = {**PERSON, **cookie, **({"Origin": origin} if origin else {})}
    answer = await gate.post(path, headers=headers, data={})
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    assert len(devices.starts) == 1
    assert (await gate.get(WAIT, headers={**PERSON, **cookie})).status == 200


async def test_what_the_server_names_is_text_and_no_markup(
    gate: Gate, devices: FakeDevices
) -> None:
    devices.start = (
        200,
        {
            "device_code": "x",
            "user_code": "<script>1</script>",
            "verification_uri": "https://h/<img src=x>",
            "verification_uri_complete": 'https://h/"><script>',
        },
    )
    cookie = await begin(gate)
    page = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    assert "<script>1" not in page
    assert "<img" not in page
    assert '"><script>' not in page


# Signing out


async def test_the_sign_out_page_ends_nothing_by_itself(gate: Gate) -> None:
    cookie = await gate.sign_in()
    page = await gate.get("/-/sign-out", headers={**PERSON, **cookie})
    assert page.status == 200
    assert 'method="post" action="/-/sign-out"' in await page.text()
    assert "Set-Cookie" not in page.headers
    assert (await gate.get("/guide/", headers=cookie)).status == 200
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    pressed = await gate.post("/-/sign-out", headers=own(gate, **cookie))
    assert (pressed.status, pressed.headers["Location"]) == (303, "/-/signed-out")
    assert (await gate.get("/guide/", headers=cookie)).status == 401


async def test_the_sign_out_page_fits_the_frame_of_an_allowed_portal(make_gate: MakeGate) -> None:
    gate = await make_gate(frame={"allowed_origins": ("https://portal.example",)})
    page = await gate.get("/-/sign-out", headers=PERSON)
    policy = page.headers["Content-Security-Policy"]
    assert policy.endswith("; frame-ancestors https://portal.example 'self'")


# What is counted


def counted(text: str) -> dict[str, float]:
    found = re.findall(r'(?m)^gate_sign_in_(\w+?)(?:_total)?(?:{result="(\w+)"})? (\d+)$', text)
    return {name + (f" {result}" if result else ""): int(count) for name, result, count in found}


@in_one_worker
async def test_each_that_began_is_counted_once_by_what_came_of_it(
    make_gate: MakeGate, devices: FakeDevices, clock: FakeClock, browser: Listener
) -> None:
    secret = "a-secret-of-good-length"
    gate = await make_gate(sign_in=devices.settings(max_flows=4), metrics={"secret": secret})

    async def now() -> dict[str, float]:
        answer = await gate.get("/-/metrics", headers={"Authorization": f"Bearer {secret}"})
        return counted(await answer.text())

    results = ("approved", "cancelled", "expired", "failed", "refused", "replaced")
    nothing = {
        "flows": 0,
        **{f"starts {each}": 0 for each in ("full", "started", "unavailable")},
        **{f"ends {each}": 0 for each in results},
    }
    assert await now() == nothing
    for end, state in ((error("access_denied"), "refused"), (error("invalid_grant"), "failed")):
        stream = await browser.open(gate, await begin(gate))
        devices.say(end)
        await clock.asleep(1)
        clock.advance(5)
        await stream.until(state)
    arrived, left = await begin(gate), await begin(gate)
    streams = [await browser.open(gate, each) for each in (arrived, left)]
    devices.say(APPROVED)
    await clock.asleep(2)
    clock.advance(5)
    for stream in streams:
        await stream.until("accepted")
    assert (await finish(gate, arrived)).status == 303  # and the other one's token is left here
    replaced = await begin(gate)
    cancelled = await gate.post(START, headers=own(gate, **replaced), data={})
    await gate.post(CANCEL, headers=own(gate, Cookie=cookie_of(cancelled)), data={})
    waiting = [await begin(gate) for _ in range(3)]
    assert (await start(gate)).status == 429
    began = {"starts started": 9, "starts full": 1, "ends approved": 2}
    ended = {f"ends {each}": 1 for each in ("refused", "failed", "replaced", "cancelled")}
    assert await now() == {**nothing, **began, **ended, "flows": 4}
    clock.advance(301)
    for cookie in (*waiting, left):
        await gate.get(WAIT, headers={**PERSON, **cookie})
    devices.start = (500, "")
    assert (await start(gate)).status == 503
    late = {"ends expired": 3, "starts unavailable": 1}
    assert await now() == {**nothing, **began, **ended, **late}


# Words


async def test_the_pages_speak_the_readers_language(gate: Gate) -> None:
    chinese = await gate.get("/guide/", headers={**PERSON, "Accept-Language": "zh-CN,en;q=0.5"})
    assert '<html lang="zh-Hans"' in await chinese.text()
    german = await gate.get("/guide/", headers={**PERSON, "Accept-Language": "de-DE,de;q=0.9"})
    assert '<html lang="en"' in await german.text()


async def test_the_address_of_a_flow_has_nothing_in_it(gate: Gate) -> None:
    cookie = await begin(gate)
    page = await (await gate.get(WAIT, headers={**PERSON, **cookie})).text()
    addresses = re.findall(r'(?:href|action|src)="(/[^"]*)"', page)
    assert addresses
    assert not any(parse_qs(urlsplit(address).query) for address in addresses)
