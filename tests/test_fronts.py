"""The proxy examples of deploy/ before a running gate: who comes in, as whom, and what is said to
those who do not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Gate, MakeGate, cookie_of
from tests.fakes import BAD, GOOD, FakeApi
from tests.fronts import DEPLOY, Front, caddy, nginx

FRONTS = {"nginx": nginx, "caddy": caddy}
USER = "X-Auth-Request-User"
BEARER = {"Authorization": f"Bearer {GOOD}"}
PERSON = {"Sec-Fetch-Mode": "navigate"}


@pytest.fixture(params=FRONTS)
async def front(
    request: pytest.FixtureRequest, make_gate: MakeGate, api: FakeApi, tmp_path: Path
) -> AsyncIterator[Front]:
    api.tokens = {GOOD: {"active": True, "sub": "jane"}, BAD: {"active": False}}
    async with before(make_gate, request.param, tmp_path) as (running, _):
        yield running


@asynccontextmanager
async def before(
    make_gate: MakeGate, name: str, folder: Path, **sections: Any
) -> AsyncIterator[tuple[Front, Gate]]:
    gate = await make_gate(
        server={"trusted_proxies": ("127.0.0.1",)}, verify={"active": "/active"}, **sections
    )
    async with FRONTS[name](folder, gate.port) as running:
        yield running, gate


async def test_whoever_brings_a_good_token_reaches_the_application_under_the_verdicts_name(
    front: Front,
) -> None:
    answer = await front.get("/wiki?page=1", **BEARER)
    assert (answer.status, await answer.text()) == (200, "the application")
    assert answer.headers.getall("Content-Security-Policy") == [
        "frame-ancestors https://portal.example.com 'self'"
    ]
    (seen,) = front.app.seen
    assert seen[USER] == "jane"
    assert "Authorization" not in seen


async def test_a_token_in_the_address_begins_a_session_that_opens_the_application(
    front: Front,
) -> None:
    answer = await front.get(f"/wiki?page=1&token={GOOD}", **PERSON)
    assert (answer.status, answer.headers["Location"]) == (303, "/wiki?page=1")
    answer = await front.get("/wiki?page=1", Cookie=cookie_of(answer), **PERSON)
    assert answer.status == 200
    assert [seen[USER] for seen in front.app.seen] == ["jane"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {BAD}"}])
async def test_nobody_else_does_and_a_person_is_told_why(
    front: Front, headers: dict[str, str]
) -> None:
    plain = await front.get("/wiki", **headers)
    page = await front.get("/wiki", **headers, **PERSON)
    assert (plain.status, page.status) == (401, 401)
    assert page.headers.getall("WWW-Authenticate") == ["Bearer"]
    assert "/-/gate.css" in await page.text()
    assert (await front.get("/wiki", "POST", **headers)).status == 401
    assert front.app.seen == []


async def test_what_a_client_claims_to_be_never_reaches_the_application(
    front: Front, api: FakeApi
) -> None:
    for name in (USER, USER.lower(), "X-AUTH-REQUEST-USER"):
        await front.get("/wiki", **{name: "root"}, **BEARER)
    api.tokens["nameless"] = {"active": True}
    await front.get("/wiki", **{USER: "root"}, Authorization="Bearer nameless")
    assert [seen.get(USER, "") for seen in front.app.seen] == ["jane"] * 3 + [""]


async def test_an_api_that_cannot_say_is_503_with_retry_after_for_the_client_too(
    front: Front, api: FakeApi
) -> None:
    api.fail()
    answer = await front.get("/wiki", **BEARER)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert front.app.seen == []


async def test_errors_of_the_application_are_its_own(front: Front) -> None:
    front.app.status = 500
    answer = await front.get("/wiki", **BEARER)
    assert (answer.status, await answer.text()) == (500, "the application")


async def test_the_gates_own_addresses_are_the_gates(front: Front) -> None:
    assert (await front.get("/-/healthz")).status == 200
    assert (await front.get("/-/signed-out")).status == 200
    assert front.app.seen == []


async def test_nginx_without_its_gate_lets_nobody_in_and_says_when_to_come_back(
    make_gate: MakeGate, tmp_path: Path
) -> None:
    async with before(make_gate, "nginx", tmp_path) as (front, gate):
        await gate.server.close()
        answer = await front.get("/wiki", **BEARER)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert front.app.seen == []


@pytest.mark.parametrize("name", FRONTS)
async def test_the_gate_logs_the_readers_address_not_the_proxys(
    make_gate: MakeGate, tmp_path: Path, name: str
) -> None:
    async with before(make_gate, name, tmp_path) as (front, gate):
        await front.get("/wiki", **{"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"})
        assert {line["client.address"] for line in await gate.log()} == {"127.0.0.1"}


def test_traefiks_example_protects_the_application_and_overwrites_who_asks() -> None:
    http = yaml.safe_load((DEPLOY / "traefik.yaml").read_text("utf-8"))["http"]
    ask = http["middlewares"]["signed-in"]["forwardAuth"]
    assert http["routers"]["app"]["middlewares"][0] == "signed-in"
    assert http["routers"]["gate"]["priority"] > http["routers"]["app"]["priority"]
    assert ask["address"].endswith("/-/auth")
    assert (ask["trustForwardHeader"], ask["authResponseHeaders"]) == (False, [USER])
