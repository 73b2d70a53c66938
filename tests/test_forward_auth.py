"""`/-/auth`: the decision for proxies, by the cookie or the Bearer token alone."""

import pytest

from gate.forward_auth import MOST_BYTES, user_header
from tests.conftest import Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.in_turn import in_turn

USER = "X-Auth-Request-User"
BEARER, REFUSED = {"Authorization": f"Bearer {GOOD}"}, {"Authorization": f"Bearer {BAD}"}


async def test_a_session_or_a_bearer_token_is_204_with_the_user(gate: Gate, api: FakeApi) -> None:
    api.tokens[GOOD] = True
    cookie = await gate.sign_in()
    for headers in (cookie, BEARER):
        answer = await gate.get("/-/auth", headers=headers)
        assert (answer.status, answer.headers[USER], await answer.read()) == (204, "", b"")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
    assert api.calls == {GOOD: 1}
    outcomes = [line["gate.outcome"] for line in await gate.log()]
    assert outcomes == ["intake", "allowed", "allowed"]


async def test_the_user_is_the_verdicts_subject(make_gate: MakeGate, api: FakeApi) -> None:
    api.tokens[GOOD] = {"active": True, "sub": "jörg"}
    gate = await make_gate(verify={"active": "/active"})
    answer = await gate.get("/-/auth", headers=BEARER)
    assert (answer.status, answer.headers.getall(USER)) == (204, ["j%C3%B6rg"])


async def test_two_workers_decide_alike_and_a_sign_out_holds_in_both(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    gate = await in_turn(make_gate, 2, clock)()
    cookie = await gate.sign_in()
    assert [(await gate.get("/-/auth", headers=cookie)).status for _ in "12"] == [204, 204]
    await gate.post("/-/sign-out", headers={**cookie, "Origin": gate.origin})
    assert [(await gate.get("/-/auth", headers=cookie)).status for _ in "12"] == [401, 401]


@pytest.mark.parametrize("headers", [{}, REFUSED, {"Cookie": "__Host-gate=made-up"}])
async def test_everybody_else_is_401_and_never_redirected(
    gate: Gate, headers: dict[str, str]
) -> None:
    for more in ({}, {"Sec-Fetch-Mode": "navigate"}):
        answer = await gate.get("/-/auth", headers={**headers, **more, USER: "root"})
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert answer.headers.getall(USER) == [""]
        assert "Set-Cookie" not in answer.headers


async def test_an_api_that_cannot_say_is_503_with_a_time_to_wait(gate: Gate, api: FakeApi) -> None:
    api.fail()
    answer = await gate.get("/-/auth", headers=BEARER)
    assert (answer.status, answer.headers[USER]) == (503, "")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_bearer_token_decides_without_falling_back_to_the_cookie(gate: Gate) -> None:
    cookie = await gate.sign_in()
    assert (await gate.get("/-/auth", headers={**cookie, **REFUSED})).status == 401


async def test_neither_the_query_nor_a_public_path_nor_a_forwarded_address_opens_it(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(site={"public": ("/**",)})
    for path in (f"/-/auth?token={GOOD}", "/-/auth?rd=/guide/"):
        stated = {"X-Forwarded-Uri": "/guide/", "X-Original-URI": "/guide/"}
        assert (await gate.get(path, headers=stated)).status == 401
    assert api.calls == {}


async def test_what_a_page_of_another_site_sends_along_changes_nothing(gate: Gate) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", **BEARER}
    assert (await gate.get("/-/auth", headers=foreign)).status == 204


async def test_a_session_that_was_ended_is_401_at_once(gate: Gate) -> None:
    cookie = await gate.sign_in()
    await gate.post("/-/sign-out", headers={**cookie, "Origin": gate.origin})
    assert (await gate.get("/-/auth", headers=cookie)).status == 401


async def test_a_session_that_ran_out_is_401(make_gate: MakeGate, clock: FakeClock) -> None:
    gate = await make_gate(session={"idle_timeout": 60.0})
    cookie = await gate.sign_in()
    clock.advance(61)
    assert (await gate.get("/-/auth", headers=cookie)).status == 401


async def test_whoever_guesses_tokens_waits_here_too_and_proxies_understand_it(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(limits={"failures_per_client": 2})
    guesses = [{"Authorization": f"Bearer guess-{number}"} for number in range(4)]
    answers = [await gate.get("/-/auth", headers=guess) for guess in guesses]
    assert [answer.status for answer in answers] == [401, 401, 503, 503]
    assert answers[2].headers["Retry-After"] == "31"
    assert answers[2].headers[USER] == ""
    assert api.count == 2
    assert (await gate.log())[-1]["gate.outcome"] == "limited"


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
async def test_it_is_asked_by_get(gate: Gate, method: str) -> None:
    assert (await gate.request(method, "/-/auth", headers=BEARER)).status == 405


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        (None, ""),
        ("", ""),
        ("jane@example.com", "jane@example.com"),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 257),
        ("Jane Doe", "Jane%20Doe"),
        ("a\r\nX-Admin: 1", "a%0D%0AX-Admin%3A%201"),
        ("ж", "%D0%B6"),
        ("\ud800", "%ED%A0%80"),
        ("x" * (MOST_BYTES + 1), ""),
        ("ж" * 400, ""),
    ],
)
def test_a_user_fits_into_a_header(subject: str | None, value: str) -> None:
    assert user_header(subject) == value


def test_no_two_users_look_alike() -> None:
    assert user_header("Jane Doe") != user_header("Jane%20Doe")
