"""`gate check`: what it finds, what it asks, what it says about each way an API goes wrong."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gate.check.report import Report
from gate.clocks import Clocks
from gate.tokens import MAX_TOKEN_BYTES
from tests.certificates import make_certificate
from tests.checking import Check, answering, checker, found
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.misbehaving import MODES
from tests.misbehaving_process import Misbehaving, misbehaving, timeout_for
from tests.signing import Signer


@pytest.fixture
def check(api: FakeApi, docs_tree: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")  # reading all the authorities takes time
    return checker(api, docs_tree)


def only_problem(report: Report) -> str:
    """The name of the one problem, which says what to do."""
    (problem,) = (each for each in report.findings if each.kind == "PROBLEM")
    assert problem.next_step
    assert f"PROBLEM  [{problem.name}] " in report.text
    return problem.name


def next_step(report: Report) -> str:
    (problem,) = (each for each in report.findings if each.kind == "PROBLEM")
    return problem.next_step


# What it asks


async def test_where_all_is_well_it_says_so(check: Check, api: FakeApi) -> None:
    report = await check(GOOD, frame={"allowed_origins": ["https://portal.example"]})
    assert report.good
    assert (report.notes, len(found(report, "ok"))) == ([], 7)
    assert "https://portal.example" in report.text
    assert f"GET {api.url}" in report.text
    assert "the given token is good" in report.text
    assert report.text.endswith("everything that was checked works")


async def test_it_asks_about_a_random_an_empty_and_a_long_token(check: Check, api: FakeApi) -> None:
    await check()
    (random, empty, long) = api.calls
    assert len(random) >= 32
    assert empty == ""
    assert len(long) == MAX_TOKEN_BYTES


async def test_every_made_up_token_is_another(check: Check, api: FakeApi) -> None:
    for _ in range(2):
        await check()
    assert sorted(api.calls.values()) == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("token", "asked"), [(None, 3), (GOOD, 4), (BAD, 4), ("two words", 3), ("x" * 4097, 3)]
)
async def test_it_asks_no_more_than_needed(
    check: Check, api: FakeApi, token: str | None, asked: int
) -> None:
    await check(token)
    assert api.count == asked


async def test_of_every_question_it_tells_status_type_time_and_a_look(
    check: Check, api: FakeApi, clock: FakeClock
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        clock.advance(0.125)
        return web.json_response({"active": request.query["token"] == GOOD, "sub": "Annabel Lee"})

    api.answer = answer
    report = await check(
        GOOD, clocks=Clocks(clock.monotonic, clock.wall), verify={"active": "/active"}
    )
    told = [each.evidence for each in report.findings if each.evidence]
    head = "answer: 200, application/json; charset=utf-8, in 125 ms: "
    no, yes = (f'{head}{{"active": {said}, "sub": "***"}}' for said in ("false", "true"))
    assert told == [no, no, no, yes]


async def test_where_the_first_answer_is_none_no_other_made_up_token_is_tried(
    check: Check, api: FakeApi
) -> None:
    api.fail(500)
    report = await check()
    assert api.count == 1
    assert "not-asked" in report.notes


async def test_where_no_token_could_fare_better_the_given_one_is_not_sent(
    check: Check, api: FakeApi
) -> None:
    api.fail(429)
    assert (await check(GOOD)).problems == ["busy"]
    assert api.calls[GOOD] == 0


# Each way in which asking fails, by name

NAMES = {
    "status 201 with a yes in it": "other-2xx",
    "status 202 with a yes in it": "other-2xx",
    "status 206 with a yes in it": "other-2xx",
    "status 300 with a yes in it": "other-3xx",
    "status 400 with a yes in it": "bad-request",
    "status 404 with a yes in it": "not-found",
    "status 418 with a yes in it": "other-4xx",
    "status 500 with a yes in it": "server-error",
    "status 501 with a yes in it": "server-error",
    "status 502 with a yes in it": "server-error",
    "status 503 with a yes in it": "server-error",
    "status 504 with a yes in it": "server-error",
    "status 599 with a yes in it": "server-error",
    "status 999 with a yes in it": "odd-status",
    "status 204": "no-content",
    "status 304": "other-3xx",
    "redirect 301": "redirect",
    "redirect 302": "redirect",
    "redirect 303": "redirect",
    "redirect 307": "redirect",
    "redirect 308": "redirect",
    "busy, come back in 1 s": "busy",
    "busy, come back never": "busy",
    "busy, come back some day": "busy",
    "an empty body": "empty-body",
    "spaces": "empty-body",
    "HTML": "html",
    "a Python True": "not-json",
    "a text": "active-is-text",
    "a number": "active-is-a-number",
    "null": "active-is-null",
    "a list": "active-is-an-object",
    "an object": "active-is-an-object",
    "two documents": "not-json",
    "garbage behind": "not-json",
    "a name twice": "name-twice",
    "NaN": "not-a-number",
    "infinity": "not-a-number",
    "deep nesting": "nested-too-deep",
    "bad UTF-8": "not-utf-8",
    "UTF-16": "not-utf-8",
    "a byte order mark": "byte-order-mark",
    "a NUL": "not-json",
    "a huge number": "not-json",
    "half an object": "not-json",
    "too large": "body-too-large",
    "a bomb": "body-inflates",
    "cut off gzip": "body-compressed-badly",
    "no gzip at all": "body-compressed-badly",
    "an unknown coding": "unknown-coding",
    "endless chunks": "body-too-large",
    "an endless body": "body-too-large",
    "endless headers": "not-http",
    "one endless header": "headers-too-large",
    "endless 100 Continue": "no-answer-in-time",
    "a broken chunk": "not-http",
    "cut off chunks": "body-broken",
    "less body than promised": "body-broken",
    "two lengths": "not-http",
    "not HTTP": "not-http",
    "HTTP/0.9": "not-http",
    "a status that is no number": "not-http",
    "hangs before a byte": "no-answer-in-time",
    "hangs in the headers": "no-answer-in-time",
    "hangs before the body": "body-hangs",
    "hangs in the body": "body-hangs",
    "drips headers": "no-answer-in-time",
    "drips a body": "body-hangs",
    "resets": "connection-reset",
    "closes without a word": "closed-without-answer",
}


@pytest.fixture(scope="module")
def process() -> Iterator[Misbehaving]:
    with misbehaving() as running:
        yield running


def test_every_misbehaviour_has_a_diagnosis() -> None:
    assert NAMES.keys() == MODES.keys()


@pytest.mark.parametrize("mode", MODES)
async def test_a_misbehaving_api_is_diagnosed(
    check: Check, process: Misbehaving, mode: str
) -> None:
    await asyncio.to_thread(process.be, mode)
    report = await check(verify={"url": process.url, "timeout": timeout_for(mode)})
    assert only_problem(report) == NAMES[mode]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:1/", "connection-refused"),
        ("http://no-such-host.invalid/", "name-unknown"),
    ],
)
async def test_an_api_that_is_not_there_is_diagnosed(check: Check, url: str, name: str) -> None:
    assert only_problem(await check(GOOD, verify={"url": url})) == name


async def test_http_where_https_is_asked_is_diagnosed(check: Check, api: FakeApi) -> None:
    url = api.url.replace("http://", "https://")
    assert only_problem(await check(verify={"url": url})) == "not-tls"


@pytest.mark.parametrize(
    ("host", "trusted", "name"),
    [
        ("127.0.0.1", False, "certificate-untrusted"),
        ("127.0.0.2", True, "certificate-of-another-host"),
    ],
)
async def test_a_certificate_that_is_not_good_is_diagnosed(
    check: Check, tmp_path: Path, host: str, trusted: bool, name: str
) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda r, w: w.close(), host, 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        verify = {"url": f"https://{host}:{port}/", "ca_file": certificate if trusted else None}
        assert only_problem(await check(verify=verify)) == name


async def test_a_proxy_that_is_not_there_is_diagnosed(check: Check) -> None:
    assert only_problem(await check(verify={"proxy": "http://127.0.0.1:1"})) == "proxy-failure"


async def test_a_connection_that_does_not_come_about_is_diagnosed(check: Check) -> None:
    # nobody accepts, so nobody says the server's part of the TLS handshake
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        verify = {"url": f"https://127.0.0.1:{port}/", "connect_timeout": 0.1, "timeout": 5}
        assert only_problem(await check(verify=verify)) == "no-connection-in-time"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (405, "wrong-method"), (415, "wrong-media-type"), (414, "request-too-large"),
        (422, "bad-request"), (410, "not-found"), (402, "other-4xx"), (407, "proxy-failure"),
    ],
)  # fmt: skip
async def test_a_status_that_says_nothing_about_the_token_is_diagnosed(
    check: Check, api: FakeApi, status: int, name: str
) -> None:
    api.fail(status, "it says why")
    report = await check()
    assert only_problem(report) == name
    assert f"answer: {status}, text/plain; charset=utf-8, in " in report.text
    assert "it says why" in report.text


async def test_a_redirect_says_where_to_without_its_query(check: Check, api: FakeApi) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "https://x.example/login?back=CANARY"})

    api.answer = answer
    report = await check()
    assert only_problem(report) == "redirect"
    assert "https://x.example/login" in report.text
    assert "CANARY" not in report.text


async def test_a_page_for_people_is_known_by_its_type_too(check: Check, api: FakeApi) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text="Please sign in", content_type="text/html")

    api.answer = answer
    assert only_problem(await check()) == "html"


@pytest.mark.parametrize(
    ("says", "active", "name", "cure"),
    [
        ({"valid": False}, "/active", "active-missing", '[verify] active = "/valid"'),
        ({"valid": False}, "", "active-is-an-object", '[verify] active = "/valid"'),
        ({"a": {"b/c": True}}, "/ok", "active-missing", '[verify] active = "/a/b~1c"'),
        ({"a": True, "b": False}, "/ok", "active-missing", '"/a", "/b"'),
        (True, "/active", "active-missing", '[verify] active = "",'),
        ({"sub": "ann"}, "/ok", "active-missing", 'true or false at "/ok"'),
        ({"sub": "ann"}, "", "active-is-an-object", '{"active": true}'),
        ({"ok": "true"}, "/ok", "active-is-text", "without quotes"),
        ({"ok": 1}, "/ok", "active-is-a-number", "instead of 1"),
        ({"ok": None}, "/ok", "active-is-null", "send false"),
        ({"ok": []}, "/ok", "active-is-an-object", 'true or false at "/ok"'),
    ],
)
async def test_it_names_the_pointer_to_set(
    check: Check, api: FakeApi, says: Any, active: str, name: str, cure: str
) -> None:
    api.say(says)
    report = await check(verify={"active": active})
    assert only_problem(report) == name
    assert cure in next_step(report)


async def test_it_names_what_the_answer_has_instead(check: Check, api: FakeApi) -> None:
    api.say({"valid": True, "user": {}})
    (told,) = found(await check(verify={"active": "/ok"}), "PROBLEM")
    assert 'the answer has "valid", "user"' in told


@pytest.mark.parametrize(
    ("says", "session", "name"),
    [
        ({"sub": ["ann"]}, {}, "subject-of-wrong-type"),
        ({"exp": "soon"}, {}, "expires-of-wrong-type"),
        ({"until": None}, {"expires": "/until"}, "session-expires-of-wrong-type"),
    ],
)
async def test_a_claim_of_a_wrong_type_is_diagnosed(
    check: Check, api: FakeApi, says: dict[str, Any], session: dict[str, Any], name: str
) -> None:
    api.answer = answering({"ok": True, **says}, {"ok": False})
    assert only_problem(await check(GOOD, verify={"active": "/ok"}, session=session)) == name


# What a yes or a no is worth


async def test_a_yes_to_a_random_token_is_an_alarm(check: Check, api: FakeApi) -> None:
    api.say(True)
    report = await check()
    assert only_problem(report) == "yes-to-a-random-token"
    assert "ALARM" in report.text


@pytest.mark.parametrize(
    ("says_yes", "name"),
    [
        (lambda token: token == "", "yes-to-an-empty-token"),
        (lambda token: len(token) > 255, "yes-to-a-long-token"),
    ],
)
async def test_a_yes_to_a_token_that_nobody_has_is_an_alarm(
    check: Check, api: FakeApi, says_yes: Any, name: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(says_yes(request.query["token"]))

    api.answer = answer
    report = await check()
    assert only_problem(report) == name
    assert "ALARM" in report.text


@pytest.mark.parametrize(
    ("length", "notes"), [(0, []), (MAX_TOKEN_BYTES, ["long-token-unanswered"])]
)
async def test_an_odd_token_that_gets_neither_yes_nor_no_is_no_problem(
    check: Check, api: FakeApi, length: int, notes: list[str]
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        odd = len(request.query["token"]) == length
        return web.json_response(False, status=400 if odd else 200)

    api.answer = answer
    report = await check()
    assert report.good
    assert [name for name in report.notes if "long" in name] == notes


@pytest.mark.parametrize("token", ["two words", "", "x" * 4097])
async def test_a_given_token_that_is_none_is_a_problem(check: Check, token: str) -> None:
    assert only_problem(await check(token)) == "token-malformed"


async def test_a_no_to_the_given_token_is_a_problem(check: Check) -> None:
    report = await check(BAD)
    assert only_problem(report) == "token-refused"
    assert 'token_in = "query", token_name = "token"' in next_step(report)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_no_by_status_to_every_token_may_mean_the_gate_itself(
    check: Check, api: FakeApi, status: int
) -> None:
    api.fail(status)
    report = await check(GOOD)
    assert only_problem(report) == "all-refused-by-status"
    assert f"answers {status} to every token" in report.text


async def test_an_api_that_fails_on_unknown_tokens_alone_is_told_from_one_that_fails(
    check: Check, api: FakeApi
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(True, status=200 if request.query["token"] == GOOD else 404)

    api.answer = answer
    report = await check(GOOD)
    assert only_problem(report) == "not-found"
    assert "the given token is good" in report.text


async def test_a_good_token_that_fits_into_no_cookie_is_a_problem_unless_it_is_a_ticket(
    check: Check, api: FakeApi
) -> None:
    long = "x" * 3000
    api.tokens[long] = True
    report = await check(long)
    assert only_problem(report) == "token-too-long-for-the-cookie"
    assert "3000 characters" in report.text
    assert "[session] recheck = false" in next_step(report)
    assert (await check(long, session={"recheck": False})).good


async def test_it_tells_for_whom_and_until_when_a_token_is_good(check: Check, api: FakeApi) -> None:
    api.answer = answering({"ok": True, "sub": "an\x1bna", "exp": 1_999_999_999}, {"ok": False})
    report = await check(GOOD, verify={"active": "/ok"})
    assert "good, for 'an\\x1bna', until Unix time 1999999999" in report.text


async def test_a_token_that_is_its_own_user_is_a_problem_and_not_told(
    check: Check, api: FakeApi
) -> None:
    api.answer = answering({"ok": True, "sub": f"user {GOOD}"}, {"ok": False})
    report = await check(GOOD, verify={"active": "/ok"})
    assert only_problem(report) == "subject-is-the-token"
    assert GOOD not in report.text


@pytest.mark.parametrize(
    ("after", "problems", "note"),
    [
        (-5, ["expires-in-the-past"], None),
        (0, ["expires-in-the-past"], None),
        (30, [], "expires-soon"),
        (3600, [], None),
        (1_800_000_000_000, [], "expires-in-milliseconds"),
    ],
)
async def test_the_end_of_a_good_token_is_looked_at(
    check: Check, api: FakeApi, clock: FakeClock, after: int, problems: list[str], note: str | None
) -> None:
    api.answer = answering({"ok": True, "exp": clock.wall() + after}, {"ok": False})
    report = await check(GOOD, clocks=Clocks(wall=clock.wall), verify={"active": "/ok"})
    assert report.problems == problems
    assert [name for name in report.notes if "expires" in name] == ([note] if note else [])


@pytest.mark.parametrize(("seconds", "slow"), [(1.4, 0), (1.6, 4)])
async def test_an_answer_that_takes_half_the_time_there_is_is_slow(
    check: Check, api: FakeApi, clock: FakeClock, seconds: float, slow: int
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        clock.advance(seconds)
        return web.json_response(request.query["token"] == GOOD)

    api.answer = answer
    report = await check(GOOD, clocks=Clocks(clock.monotonic), verify={"timeout": 3})
    assert report.notes.count("slow") == slow


async def test_a_jwt_that_is_asked_about_is_noted(check: Check, api: FakeApi) -> None:
    token = Signer().text()
    api.tokens[token] = True
    report = await check(token)
    assert report.good
    assert "token-is-a-jwt" in report.notes
    assert "token-is-a-jwt" not in (await check(GOOD)).notes


# Introspection


async def test_with_introspection_made_up_tokens_go_by_its_rules(
    check: Check, api: FakeApi
) -> None:
    api.say({"active": False})
    report = await check(verify={"preset": "introspection"})
    assert report.good
    assert {(each.method, each.content_type) for each in api.requests} == {
        ("POST", "application/x-www-form-urlencoded")
    }


@pytest.mark.parametrize("status", [401, 403])
async def test_with_introspection_a_401_is_about_the_gate(
    check: Check, api: FakeApi, status: int
) -> None:
    api.fail(status)
    report = await check(GOOD, verify={"preset": "introspection"})
    assert only_problem(report) == "own-credentials-refused"
    assert "[introspection] client_id" in next_step(report)


@pytest.mark.parametrize(("scope", "name"), [("mail", "scope-lacks"), ([1], "scope-of-wrong-type")])
async def test_with_introspection_a_scope_that_is_not_right_is_diagnosed(
    check: Check, api: FakeApi, scope: Any, name: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        good = (await request.post())["token"] == GOOD
        return web.json_response({"active": good, "scope": scope})

    api.answer = answer
    preset = {"verify": {"preset": "introspection"}, "introspection": {"scope": "docs"}}
    assert only_problem(await check(GOOD, **preset)) == name


# What lies on this machine


async def test_what_may_be_meant_is_noted_and_no_problem(check: Check) -> None:
    report = await check(server={"host": "0.0.0.0"}, site={"public": ["/assets/**"]})
    assert report.good
    assert report.notes == [
        "anyone-may-read",
        "nobody-may-frame",
        "no-public-url",
        "no-token-given",
    ]


async def test_a_site_that_cannot_be_served_is_a_problem(check: Check, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    report = await check(site={"root": empty})
    assert only_problem(report) == "site-unusable"
    assert str(empty) in report.text


async def test_certificates_that_cannot_be_used_are_problems(check: Check, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    good = {"tls_certificate": certificate, "tls_key": key}
    assert "https: with the certificate in" in (await check(server=good)).text
    bad = {**good, "tls_key": certificate}
    assert only_problem(await check(server=bad)) == "server-certificate-unusable"
    assert only_problem(await check(verify={"ca_file": key})) == "certificates-unusable"


async def test_hosts_that_the_policy_keeps_out_are_named_with_the_setting(
    check: Check, docs_tree: Path
) -> None:
    cdn = "<script src=https://cdn.example/a.js></script>"
    await asyncio.to_thread((docs_tree / "single.html").write_text, cdn)
    sources = '[site] csp_sources = ["script-src https://cdn.example"]'
    report = await check(site={"csp": "strict"})
    assert report.good
    assert "hosts-blocked" in report.notes
    assert sources in re.sub(r"\s+", " ", report.text)
    for site in ({"csp_sources": ["script-src https://cdn.example"]}, {"csp": "off"}):
        assert "cdn.example" not in (await check(site=site)).text
