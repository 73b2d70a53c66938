"""`POST /-/session` and `POST /-/sign-out`: who may send them, in which form, and what follows."""

import asyncio
import gc
import json
from unittest.mock import Mock
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gate.door.reading import Counting
from tests.conftest import Gate, MakeGate, cookie_of
from tests.fakes import BAD, GOOD, FakeApi
from tests.raw import ask, exchange, parse, server_of, statuses, until

PORTAL, PUBLIC = "https://portal.example", "https://docs.example"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
PERSON = {"Sec-Fetch-Mode": "navigate"}
DELETION = "__Host-gate=; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age=0"


async def post(
    gate: Gate, body: str | bytes = f"token={GOOD}", kind: str = FORM, **headers: str
) -> aiohttp.ClientResponse:
    """An intake from our own origin, unless `headers` say otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"Origin": gate.origin, "Content-Type": kind, **named}
    return await gate.post("/-/session", data=body, headers=sent)


@pytest.mark.parametrize(
    ("origin", "public_url", "allowed"),
    [
        ("OWN", "", True),
        (PORTAL, "", True),
        (PUBLIC, PUBLIC, True),
        (PORTAL, PUBLIC, True),
        ("OWN", PUBLIC, False),
        (PUBLIC, "", False),
        (None, "", False),
        ("", "", False),
        ("null", "", False),
        ("https://evil.example", "", False),
        ("http://portal.example", "", False),
        (f"{PORTAL}:8443", "", False),
        (f"{PORTAL}.evil.example", "", False),
        (f"{PORTAL}, {PORTAL}", "", False),
        ("localhost", "", False),
    ],
)
async def test_a_post_wants_an_origin_that_is_ours_or_allowed(
    make_gate: MakeGate, api: FakeApi, origin: str | None, public_url: str, allowed: bool
) -> None:
    gate = await make_gate(server={"public_url": public_url}, frame={"allowed_origins": (PORTAL,)})
    reader = await gate.sign_in()
    headers = {**reader, "Content-Type": FORM}
    if origin is not None:
        headers["Origin"] = origin.replace("OWN", gate.origin)
    taken = await gate.post("/-/session", data="token=another", headers=headers)
    ended = await gate.post("/-/sign-out", headers=headers)
    assert [taken.status, ended.status] == ([401, 303] if allowed else [403, 403])
    assert ("Set-Cookie" in taken.headers) is ("Set-Cookie" in ended.headers) is allowed
    assert api.calls == {GOOD: 1, **({"another": 1} if allowed else {})}
    outcomes = [line["gate.outcome"] for line in await gate.log()]
    assert outcomes == ["intake", *(["refused", "allowed"] if allowed else ["forbidden"] * 2)]


async def test_several_origins_are_none(gate: Gate, api: FakeApi) -> None:
    twice = [f"Origin: {gate.origin}"] * 2
    answer = await ask(
        gate, "/-/session", *twice, f"Content-Type: {FORM}", method="POST", body=b"token=a"
    )
    assert answer.status in (400, 403)
    assert api.count == 0


@pytest.mark.parametrize("headers", [PERSON, {}])
async def test_the_refusal_of_an_origin_names_the_cure(gate: Gate, headers: dict[str, str]) -> None:
    for origin in ("null", "https://evil.example"):
        answer = await gate.post("/-/session", headers={**headers, "Origin": origin})
        text = await answer.text()
        assert answer.status == 403
        assert "Referrer-Policy: strict-origin-when-cross-origin" in text
        assert "allowed_origins" in text
        if headers:
            assert origin in text


async def test_trusted_proxies_say_what_our_own_origin_is(make_gate: MakeGate) -> None:
    gate = await make_gate(server={"trusted_proxies": ("127.0.0.1",)})
    stated = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "docs.example"}
    assert (await post(gate, Origin=PUBLIC, **stated)).status == 303
    assert (await post(gate, **stated)).status == 403
    assert (await post(gate, Origin=PUBLIC)).status == 403


@pytest.mark.parametrize(
    ("body", "kind", "status", "location"),
    [
        ("token=good-token", FORM, 303, "/"),
        ("next=%2Fguide&token=good-token", FORM, 303, "/guide/"),
        ("token=good-token&next=/gu%69de%3Fa=%2531%26token=x%23b", FORM, 303, "/guide/?a=%31#b"),
        ("token=good-token&next=//evil.example", FORM, 303, "/"),
        ("token=good-token&next=/guide/&next=/guide/", FORM, 303, "/"),
        ("token=good-token&token=good-token", f"{FORM}; charset=utf-8", 303, "/"),
        ('{"token": "good-token"}', JSON, 204, None),
        ('{"token": "good-token", "next": "/guide/", "more": [{"token": "x"}]}', JSON, 204, None),
        ('{"token": "good-token", "next": null}', f"{JSON}; charset=utf-8", 204, None),
    ],
)  # fmt: skip
async def test_a_good_token_begins_a_session_and_leads_to_next(
    gate: Gate, api: FakeApi, body: str, kind: str, status: int, location: str | None
) -> None:
    answer = await post(gate, body, kind)
    assert (answer.status, answer.headers.get("Location")) == (status, location)
    assert await answer.read() == b""
    assert (await gate.get("/", headers={"Cookie": cookie_of(answer)})).status == 200
    assert api.calls == {GOOD: 1}
    assert [line["gate.outcome"] for line in await gate.log()] == ["intake", "allowed"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("", FORM, 400),
        ("next=/", FORM, 400),
        ("Token=good-token", FORM, 400),
        ("token=good-token&token=bad-token", FORM, 400),
        ("token=%FF", FORM, 400),
        (b"token=\xff", FORM, 400),
        ("&".join(["a=b"] * 101), FORM, 400),
        ("", JSON, 400),
        ("token=good-token", JSON, 400),
        ("null", JSON, 400),
        ('"good-token"', JSON, 400),
        ('[{"token": "good-token"}]', JSON, 400),
        ('{"token": 1}', JSON, 400),
        ('{"token": null}', JSON, 400),
        ('{"token": ["good-token"]}', JSON, 400),
        ('{"token": "good-token", "token": "bad-token"}', JSON, 400),
        ('{"token": "good-token", "token": 1}', JSON, 400),
        ("[" * 30_000, JSON, 400),
        ('{"token": ' + "1" * 5000 + "}", JSON, 400),
        (b'{"token": "\xff"}', JSON, 400),
        ("token=good-token", "text/plain", 415),
        ("token=good-token", "multipart/form-data; boundary=x", 415),
        ("token=good-token", "application/json-seq", 415),
        ("token=good-token", ";;", 415),
        ("token=" + "x" * 40_000, FORM, 413),
    ],
)
async def test_a_body_that_brings_no_readable_token_is_malformed_and_nothing_is_asked(
    gate: Gate, api: FakeApi, body: str | bytes, kind: str, status: int
) -> None:
    answer = await post(gate, body, kind)
    assert (answer.status, "Set-Cookie" in answer.headers, api.count) == (status, False, 0)
    assert [line["gate.outcome"] for line in await gate.log()] == ["malformed"]


async def test_a_body_in_a_content_coding_is_415_and_leaves_the_session(
    gate: Gate, api: FakeApi
) -> None:
    answer = await post(gate, b"token=good-token", Content_Encoding="gzip")
    assert (answer.status, "Set-Cookie" in answer.headers, api.count) == (415, False, 0)
    assert (await post(gate, Content_Encoding="identity")).status == 303


@pytest.mark.parametrize(
    ("token", "status"),
    [(BAD, 401), ("", 401), ("no token", 401), ("ü", 401), ("x" * 4097, 401), ("x" * 3000, 400)],
)
@pytest.mark.parametrize("kind", [FORM, JSON])
async def test_a_refused_token_ends_the_session_and_one_that_fits_no_cookie_does_not(
    gate: Gate, api: FakeApi, token: str, status: int, kind: str
) -> None:
    fields = {"token": token}
    body = urlencode(fields) if kind == FORM else json.dumps(fields)
    answer = await post(gate, body, kind, **await gate.sign_in())
    assert (answer.status, answer.headers.get("Set-Cookie")) == (
        status,
        DELETION if status == 401 else None,
    )
    assert api.calls == {GOOD: 1, **({BAD: 1} if token == BAD else {})}
    assert ("recheck = false" in await answer.text()) is (status == 400)


@pytest.mark.parametrize(
    ("query", "bearer", "same"),
    [
        ("", "Bearer good-token", True),
        ("", "Bearer bad-token", False),
        ("?token=good-token", "", True),
        ("?token=bad-token", "", False),
        ("?token=good%2Dtoken", "", True),
    ],
)
async def test_a_second_token_in_another_place_must_be_the_same(
    gate: Gate, api: FakeApi, query: str, bearer: str, same: bool
) -> None:
    headers = {"Origin": gate.origin, "Content-Type": FORM}
    if bearer:
        headers["Authorization"] = bearer
    answer = await gate.post(f"/-/session{query}", data=f"token={GOOD}", headers=headers)
    assert (answer.status, api.count) == ((303, 1) if same else (400, 0))


async def test_a_token_of_a_form_is_compared_with_that_of_the_query_once_decoded(
    gate: Gate, api: FakeApi
) -> None:
    api.tokens["a+b/c%26"] = True
    headers = {"Origin": gate.origin, "Content-Type": FORM}
    for query, form, status in [("a%2Bb", "a%2Bb", 401), ("a%252Bb", "a%2Bb", 400)]:
        answer = await gate.post(f"/-/session?token={query}", data=f"token={form}", headers=headers)
        assert answer.status == status


@pytest.mark.parametrize("headers", [PERSON, {}])
async def test_during_an_outage_the_old_cookie_stays(
    gate: Gate, api: FakeApi, headers: dict[str, str]
) -> None:
    reader = await gate.sign_in()
    api.fail(500)
    answer = await post(gate, "token=another", **headers, **reader)
    assert (answer.status, "Set-Cookie" in answer.headers) == (503, False)
    assert "Retry-After" in answer.headers
    assert 'href=""' not in await answer.text()  # a form cannot be sent again by a link


@pytest.mark.parametrize(("kind", "status"), [(FORM, 303), (JSON, 204), (None, 303)])
async def test_sign_out_deletes_the_cookie_and_says_so(
    gate: Gate, kind: str | None, status: int
) -> None:
    headers = {"Origin": gate.origin, **await gate.sign_in()}
    if kind is not None:
        headers["Content-Type"] = kind
    answer = await gate.post("/-/sign-out", data=b"", headers=headers)
    assert (answer.status, answer.headers["Set-Cookie"]) == (status, DELETION)
    if status == 303:
        assert answer.headers["Location"] == "/-/signed-out"
    for asking in (PERSON, {}):
        page = await gate.get("/-/signed-out", headers=asking)
        assert (page.status, page.content_type) == (200, "text/html")
        assert "signed out" in await page.text()
        assert "Set-Cookie" not in page.headers


async def test_a_body_that_does_not_come_is_given_up(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(server={"header_timeout": 0.05, "keepalive_timeout": 0.05})
    head = (
        f"POST /-/session HTTP/1.1\r\nHost: {gate.host}:{gate.port}\r\nOrigin: {gate.origin}\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: 16\r\n\r\n"
    )
    got = await exchange(gate, head.encode() + b"token=")
    assert (statuses(got), api.count) == ([400], 0)
    assert b"in time" in parse(got).body


async def test_a_body_that_turns_out_to_be_no_http_is_malformed_and_the_connection_closed(
    gate: Gate, api: FakeApi
) -> None:
    # what aiohttp's parser in Python finds while the body is read, that in C finds before
    payload = aiohttp.StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.set_exception(web.RequestPayloadError("odd chunk"))
    headers = {"Origin": gate.origin, "Content-Type": FORM, "Host": f"{gate.host}:{gate.port}"}
    request = make_mocked_request(
        "POST", "/-/session", headers, payload=payload, app=gate.server.app
    )
    answer = await gate.server.app._handle(request)
    assert (answer.status, answer.keep_alive, api.count) == (400, False, 0)


async def test_a_client_that_goes_away_with_half_a_body_is_one_line_and_no_failure(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(gate)
    server.handler_cancellation = False  # aiohttp's test server turns it on, its runner does not
    head = (
        f"POST /-/session HTTP/1.1\r\nHost: {gate.host}:{gate.port}\r\nOrigin: {gate.origin}\r\n"
        f"Content-Type: {FORM}\r\nContent-Length: 16\r\n\r\n"
    )
    _, writer = await asyncio.open_connection(gate.host, gate.port)
    writer.write(head.encode() + b"token=")
    await writer.drain()
    await until(lambda: server.requests_count > 0)
    writer.close()
    await writer.wait_closed()
    await until(lambda: not server.connections)
    (line,) = await gate.log()
    assert (line["gate.outcome"], line["url.path"]) == ("malformed", "/-/session")
    assert "failed" not in caplog.text


async def test_whoever_hangs_up_in_the_middle_of_a_form_leaves_nothing_for_the_collector(
    gate: Gate,
) -> None:
    """What it had to find would be there until it looks at everything, which is seldom."""
    head = (
        f"POST /-/session HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nContent-Type: {FORM}\r\n"
        "Content-Length: 200\r\n\r\ntok"
    )

    async def hang_up() -> None:
        connections = [await asyncio.open_connection(gate.host, gate.port) for _ in range(5)]
        for _, writer in connections:
            writer.write(head.encode())
        await until(lambda: len(kept()) >= before + 5)
        for _, writer in connections:
            writer.transport.abort()
        await until(lambda: not server_of(gate).connections)

    def kept() -> list[object]:
        return [each for each in gc.get_objects() if isinstance(each, (web.BaseRequest, Counting))]

    gc.collect()
    before = len(kept())
    gc.disable()
    try:
        await hang_up()
        assert [line["gate.outcome"] for line in await gate.log()] == ["malformed"] * 5
        assert len(kept()) == before
    finally:
        gc.enable()
