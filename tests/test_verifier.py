"""The verify API: how it is asked, and what its answers mean."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web

from gate.cache import Verdict
from gate.config.settings import VerifySettings
from gate.tokens import Token
from gate.verify.api import ApiVerifier
from gate.verify.judge import MAX_BODY_BYTES, Judge, VerifyUnavailable
from tests.fakes import GOOD, FakeApi

YES, NO = Verdict(active=True), Verdict(active=False)
MakeVerifier = Callable[..., Awaitable[ApiVerifier]]


@pytest.fixture
async def make_verifier(api: FakeApi) -> AsyncIterator[MakeVerifier]:
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> ApiVerifier:
            whole = VerifySettings.model_validate({"url": api.url, **settings})
            return await stack.enter_async_context(ApiVerifier(whole))

        yield make


def judge(body: object, status: int = 200, **settings: Any) -> Verdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Judge(VerifySettings(url="http://localhost", **settings))(status, raw)


NESTED = {"data": [{"ok": True, "who": 7, "until": 5.5, "a/b": "x"}]}
DEEP = {"active": "/data/0/ok", "subject": "/data/0/who", "expires": "/data/0/until"}


@pytest.mark.parametrize(
    ("body", "settings", "verdict"),
    [
        (True, {}, YES),
        (False, {}, NO),
        ({"active": True}, {"active": "/active"}, YES),
        ({"active": False, "exp": "soon"}, {"active": "/active"}, NO),
        (
            {"active": True, "sub": "ann", "exp": 9},
            {"active": "/active"},
            Verdict(active=True, subject="ann", expires=9.0),
        ),
        ({"active": True, "sub": None}, {"active": "/active"}, YES),
        ({"active": True, "exp": "x"}, {"active": "/active", "expires": ""}, YES),
        (NESTED, DEEP, Verdict(active=True, subject="7", expires=5.5)),
        (NESTED, {**DEEP, "subject": "/data/0/a~1b"}, Verdict(True, subject="x", expires=5.5)),
    ],
)
def test_exact_answers_are_verdicts(
    body: object, settings: dict[str, Any], verdict: Verdict
) -> None:
    assert judge(body, **settings) == verdict


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [True, b"", b"<html>"])
def test_401_and_403_are_a_no_whatever_they_say(status: int, body: object) -> None:
    assert judge(body, status) == NO


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 307, 400, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("body", [True, False])
def test_every_other_status_cannot_say(status: int, body: bool) -> None:
    with pytest.raises(VerifyUnavailable):
        judge(body, status)


@pytest.mark.parametrize(
    "body",
    [
        1,
        0,
        None,
        "true",
        [True],
        {},
        {"active": True},
        b"",
        b"True",
        b"true false",
        b"\xff",
        b"\xef\xbb\xbftrue",
        "true".encode("utf-16"),
        b"NaN",
        b"[" * 100_000,
    ],
)
def test_what_is_not_exactly_true_or_false_cannot_say(body: object) -> None:
    with pytest.raises(VerifyUnavailable):
        judge(body)


@pytest.mark.parametrize(
    "raw",
    [
        '{"active": "true"}',
        '{"active": 1}',
        '{"active": null}',
        '{"Active": true}',
        '{"active": false, "active": true}',
        '{"active": true, "x": {"a": 1, "a": 2}}',
        '{"active": true, "exp": NaN}',
        '{"active": true, "exp": 1e999}',
        '{"active": true, "exp": "9"}',
        '{"active": true, "exp": null}',
        '{"active": true, "exp": true}',
        '{"active": true, "exp": %s}' % ("9" * 400),
        '{"active": true, "sub": ["a"]}',
        '{"active": true, "sub": true}',
        '{"active": true, "sub": 1.5}',
    ],
)
def test_a_doubtful_object_cannot_say(raw: str) -> None:
    with pytest.raises(VerifyUnavailable):
        judge(raw.encode(), active="/active")


@pytest.mark.parametrize("pointer", ["/data/00/ok", "/data/1/ok", "/data/-/ok", "/data/+0/ok", "/"])
def test_a_pointer_that_leads_nowhere_cannot_say(pointer: str) -> None:
    with pytest.raises(VerifyUnavailable):
        judge(NESTED, active=pointer)


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({}, lambda request: request.query["token"]),
        ({"token_name": "t"}, lambda request: request.query["t"]),
        ({"token_in": "header", "token_name": "X-T"}, lambda request: request.headers["X-T"]),
        (
            {"token_in": "header", "token_name": "Authorization"},
            lambda request: request.headers["Authorization"].removeprefix("Bearer "),
        ),
    ],
)
async def test_the_token_goes_where_the_settings_say(
    api: FakeApi,
    make_verifier: MakeVerifier,
    settings: dict[str, Any],
    read: Callable[[web.Request], str],
) -> None:
    api.say(True)
    verifier = await make_verifier(**settings)
    assert await verifier.verify(Token("a+b/c==")) == YES
    assert read(api.requests[0]) == "a+b/c=="


@pytest.mark.parametrize(
    ("token_in", "body", "kind"),
    [
        ("form", "token=a%2Bb%2Fc%3D%3D", "application/x-www-form-urlencoded"),
        ("json", '{"token": "a+b/c=="}', "application/json"),
    ],
)
async def test_the_token_goes_into_the_body(
    api: FakeApi, make_verifier: MakeVerifier, token_in: str, body: str, kind: str
) -> None:
    seen: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.query_string, request.content_type))
        seen.append(await request.text())
        return web.json_response(True)

    api.answer = answer
    verifier = await make_verifier(method="POST", token_in=token_in)
    assert await verifier.verify(Token("a+b/c==")) == YES
    assert seen == [("POST", "", kind), body]


async def test_the_urls_own_query_is_kept(api: FakeApi, make_verifier: MakeVerifier) -> None:
    verifier = await make_verifier(url=f"{api.url}?a=%41&b")
    assert await verifier.verify(Token(GOOD)) == YES
    assert api.requests[0].raw_path == f"/verify?a=%41&b&token={GOOD}"


async def test_extra_headers_are_sent(api: FakeApi, make_verifier: MakeVerifier) -> None:
    verifier = await make_verifier(headers={"X-Key": "secret"})
    await verifier.verify(Token(GOOD))
    assert api.requests[0].headers["X-Key"] == "secret"


async def test_redirects_are_not_followed(api: FakeApi, make_verifier: MakeVerifier) -> None:
    async def answer(request: web.Request) -> web.Response:
        raise web.HTTPFound("/verify?token=" + GOOD)

    api.answer = answer
    with pytest.raises(VerifyUnavailable):
        await (await make_verifier()).verify(Token(GOOD))
    assert api.count == 1


async def test_cookies_are_not_kept(api: FakeApi, make_verifier: MakeVerifier) -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.json_response(True)
        response.set_cookie("a", "b")
        return response

    api.answer = answer
    verifier = await make_verifier()
    for _ in range(2):
        await verifier.verify(Token(GOOD))
    assert "Cookie" not in api.requests[1].headers


async def stream(request: web.Request, chunk: bytes, headers: dict[str, str]) -> web.Response:
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    for _ in range(100_000):
        await response.write(chunk)
    raise AssertionError("somebody read it all")


@pytest.mark.parametrize(
    ("chunk", "headers"),
    [
        (b" " * 65536, {}),
        (gzip.compress(bytes(1 << 20)), {"Content-Encoding": "gzip"}),
    ],
    ids=["endless", "endless bomb"],
)
async def test_an_endless_body_is_cut(
    api: FakeApi, make_verifier: MakeVerifier, chunk: bytes, headers: dict[str, str]
) -> None:
    api.answer = lambda request: stream(request, chunk, headers)
    with pytest.raises(VerifyUnavailable, match="large"):
        await (await make_verifier()).verify(Token(GOOD))


@pytest.mark.parametrize(
    ("body", "coding", "reason"),
    [
        (gzip.compress(b" " * MAX_BODY_BYTES + b"true"), "gzip", "large"),
        (gzip.compress(b"true")[:-4], "gzip", "cut off"),
        (b"true", "gzip", "decompress"),
        (b"true", "br", "coding"),
    ],
)
async def test_a_body_that_does_not_decompress_well_cannot_say(
    api: FakeApi, make_verifier: MakeVerifier, body: bytes, coding: str, reason: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Encoding": coding})

    api.answer = answer
    with pytest.raises(VerifyUnavailable, match=reason):
        await (await make_verifier()).verify(Token(GOOD))


async def test_a_compressed_body_is_read(api: FakeApi, make_verifier: MakeVerifier) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"true"), headers={"Content-Encoding": "gzip"})

    api.answer = answer
    assert await (await make_verifier()).verify(Token(GOOD)) == YES


async def test_an_api_that_hangs_cannot_say(api: FakeApi, make_verifier: MakeVerifier) -> None:
    released = api.hold()
    with pytest.raises(VerifyUnavailable, match="in time"):
        await (await make_verifier(timeout=0.05)).verify(Token(GOOD))
    released.set()


async def test_an_api_that_is_not_there_cannot_say(
    make_verifier: MakeVerifier, unused_tcp_port: int
) -> None:
    verifier = await make_verifier(url=f"http://127.0.0.1:{unused_tcp_port}/")
    with pytest.raises(VerifyUnavailable, match="Connect"):
        await verifier.verify(Token(GOOD))


async def test_no_reason_tells_the_token(make_verifier: MakeVerifier, unused_tcp_port: int) -> None:
    verifier = await make_verifier(url=f"http://127.0.0.1:{unused_tcp_port}/")
    with pytest.raises(VerifyUnavailable) as caught:
        await verifier.verify(Token("canary"))
    problem: BaseException | None = caught.value
    while problem is not None:
        assert "canary" not in str(problem)
        problem = problem.__cause__


async def test_the_queue_is_bounded(api: FakeApi, make_verifier: MakeVerifier) -> None:
    released = api.hold()
    verifier = await make_verifier(max_in_flight=1, max_queue=1)
    asking = [asyncio.create_task(verifier.verify(Token(GOOD))) for _ in range(3)]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = done
    with pytest.raises(VerifyUnavailable, match="waiting"):
        refused.result()
    released.set()
    assert await asyncio.gather(*(task for task in asking if task is not refused)) == [YES, YES]
