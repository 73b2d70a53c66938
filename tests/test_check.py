"""`gate check`: what it finds, what it asks, what it never says."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gate.check import Report, examine
from tests.certificates import make_certificate
from tests.conftest import make_settings
from tests.fakes import BAD, GOOD, FakeApi
from tests.processes import run_gate, write_config
from tests.signing import AUDIENCE, ISSUER, Signer, jwks


@pytest.fixture
async def check(api: FakeApi, docs_tree: Path) -> Any:
    """Run a check: `await check(token, section={…})`."""

    async def run(token: str | None = None, **sections: Any) -> Report:
        settings = make_settings(api, docs_tree, **sections)
        return await asyncio.to_thread(examine, settings, token=token)

    return run


def lines(report: Report, kind: str) -> list[str]:
    return [line.removeprefix(kind).strip() for line in report.lines if line.startswith(kind)]


def only_problem(report: Report) -> str:
    assert not report.good
    (problem,) = lines(report, "PROBLEM")
    assert "\n         next: " in problem
    return problem


async def test_where_all_is_well_it_says_so(check: Any, api: FakeApi) -> None:
    report = await check(GOOD, frame={"allowed_origins": ["https://portal.example"]})
    assert report.good
    assert [line.split(" ")[0] for line in report.lines] == ["ok"] * 4
    assert "https://portal.example" in report.text
    assert f"verify API {api.url}: says no to a random token" in report.text
    assert "the given token is good" in report.text
    assert report.text.endswith("everything that was checked works")


async def test_a_yes_to_a_random_token_is_an_alarm(check: Any, api: FakeApi) -> None:
    api.say(True)
    assert only_problem(await check()).startswith("ALARM: ")


@pytest.mark.parametrize(
    ("status", "text"), [(500, ""), (404, "no such page"), (200, "nonsense"), (200, "1")]
)
async def test_an_api_that_cannot_say_is_a_problem(
    check: Any, api: FakeApi, status: int, text: str
) -> None:
    api.fail(status, text)
    problem = only_problem(await check())
    assert problem.startswith(f"verify API {api.url}: the answer ")
    assert "[verify] url" in problem


async def test_an_api_that_is_not_there_is_a_problem(check: Any) -> None:
    report = await check(verify={"url": "http://127.0.0.1:1/verify"})
    assert "asking failed" in only_problem(report)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (BAD, "the verify API says no to the given token"),
        ("two words", "the given token has characters that no bearer token may have"),
        ("", "the given token has characters"),
        ("x" * 4097, "or is too long"),
    ],
)
async def test_a_given_token_that_is_not_good_is_a_problem(
    check: Any, token: str, problem: str
) -> None:
    assert problem in only_problem(await check(token))


async def test_a_good_token_that_fits_into_no_cookie_is_a_problem_unless_it_is_a_ticket(
    check: Any, api: FakeApi
) -> None:
    long = "x" * 3000
    api.tokens[long] = True
    problem = only_problem(await check(long))
    assert "3000 characters" in problem
    assert "[session] recheck = false" in problem
    assert (await check(long, session={"recheck": False})).good


async def test_it_tells_for_whom_and_until_when_a_token_is_good(check: Any, api: FakeApi) -> None:
    api.tokens = {GOOD: {"ok": True, "sub": "an\x1bna", "exp": 1_999_999_999}}
    verify = {"active": "/ok"}
    api_that_says_no = {"ok": False}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(api.tokens.get(request.query["token"], api_that_says_no))

    api.answer = answer
    report = await check(GOOD, verify=verify)
    assert "good, for 'an\\x1bna', until Unix time 1999999999" in report.text


async def test_a_token_that_is_its_own_user_is_a_problem_and_not_told(
    check: Any, api: FakeApi
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        token = request.query["token"]
        return web.json_response({"ok": token == GOOD, "sub": f"user {token}"})

    api.answer = answer
    report = await check(GOOD, verify={"active": "/ok"})
    assert "[verify] subject" in only_problem(report)
    assert GOOD not in report.text


@pytest.mark.parametrize(
    ("token", "asked"), [(None, 1), (GOOD, 2), (BAD, 2), ("two words", 1), ("x" * 4097, 1)]
)
async def test_it_asks_no_more_than_needed(
    check: Any, api: FakeApi, token: str | None, asked: int
) -> None:
    await check(token)
    assert api.count == asked


async def test_every_random_token_is_another(check: Any, api: FakeApi) -> None:
    for _ in range(2):
        await check()
    assert len(api.calls) == 2
    assert min(map(len, api.calls)) >= 32


async def test_what_may_be_meant_is_noted_and_no_problem(check: Any) -> None:
    report = await check(server={"host": "0.0.0.0"}, site={"public": ["/assets/**"]})
    notes = lines(report, "note")
    assert report.good
    for number, text in enumerate(
        ("anyone may read 5", "no portal", "public_url", "no good token")
    ):
        assert text in notes[number]


async def test_a_site_that_cannot_be_served_is_a_problem(check: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in only_problem(await check(site={"root": empty}))


async def test_certificates_that_cannot_be_used_are_problems(check: Any, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    good = {"tls_certificate": certificate, "tls_key": key}
    assert "https: with the certificate in" in (await check(server=good)).text
    bad = {**good, "tls_key": certificate}
    assert "[server] tls_certificate" in only_problem(await check(server=bad))
    assert "[verify] ca_file" in only_problem(await check(verify={"ca_file": key}))


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    ("says", "code", "told"), [(None, 0, "everything that"), (True, 1, "ALARM")]
)
async def test_as_a_command_it_writes_nothing_tells_no_secret_and_ends_with_its_finding(
    tmp_path: Path, docs_tree: Path, api: FakeApi, says: bool | None, code: int, told: str
) -> None:
    api.tokens = {"good-CANARY": True}
    if says is not None:
        api.say(says)
    write_config(tmp_path, root=docs_tree, verify=f"{api.url}?key=CANARY")
    before = everything(tmp_path)
    environ = {"GATE_VERIFY__HEADERS": '{"X-Key": "CANARY"}'}
    arguments = ("check", "--token", "good-CANARY")
    ended, out, err = await run_gate(*arguments, cwd=tmp_path, environ=environ)
    assert ended == code
    assert told in out
    assert everything(tmp_path) == before
    assert not any(secret in out + err for secret in ("CANARY", "Traceback"))


JWT = {"issuer": ISSUER, "audience": AUDIENCE}


async def test_with_jwts_the_keys_are_looked_at_and_the_token_is_judged_by_them(
    check: Any, api: FakeApi
) -> None:
    signer = Signer()
    api.say(jwks(signer))
    token = signer.token(exp=int(time.time()) + 60).text
    report = await check(token, verify={"preset": "jwt"}, jwt=JWT)
    assert report.good
    assert f"the JWKS {api.url}: 1 usable keys" in report.text
    assert "the given token is good" in report.text
    assert api.count == 1


async def test_with_jwts_keys_that_are_not_there_are_a_problem(check: Any, api: FakeApi) -> None:
    api.fail(404)
    assert "JWKS" in only_problem(await check(verify={"preset": "jwt"}, jwt=JWT))


async def test_with_introspection_the_random_token_goes_by_its_rules(
    check: Any, api: FakeApi
) -> None:
    api.say({"active": False})
    report = await check(verify={"preset": "introspection"})
    assert report.good
    assert (api.requests[0].method, api.requests[0].content_type) == (
        "POST",
        "application/x-www-form-urlencoded",
    )
