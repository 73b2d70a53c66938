"""`Authorization: Bearer`: opens the one request it comes with, and decides alone."""

import pytest

from tests.conftest import Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock

BEARER, REFUSED = {"Authorization": f"Bearer {GOOD}"}, {"Authorization": f"Bearer {BAD}"}
PERSON = {"Sec-Fetch-Mode": "navigate"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/guide", 301),
        ("GET", "/nowhere", 404),
        ("GET", "/assets/app.js", 200),
        ("GET", f"/guide/?token={GOOD}", 200),
        ("POST", "/", 405),
    ],
)
async def test_a_good_token_opens_the_request_and_sets_no_cookie(
    gate: Gate, api: FakeApi, method: str, path: str, status: int
) -> None:
    for headers in (BEARER, {**BEARER, **PERSON}, {"Authorization": f"bEARER  {GOOD} "}):
        answer = await gate.request(method, path, headers=headers)
        assert (answer.status, "Set-Cookie" in answer.headers) == (status, False)
    assert api.calls == ({} if method == "POST" else {GOOD: 1})
    outcome = "malformed" if method == "POST" else "allowed"
    assert {line["gate.outcome"] for line in await gate.log()} == {outcome}


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (f"Bearer {BAD}", True),
        ("Bearer", False),
        ("Bearer  ", False),
        ("Bearer two words", False),
        ("Bearer a,b", False),
        ("Bearer " + "x" * 4097, False),
    ],
)
async def test_a_bad_one_is_refused_whatever_the_cookie_says_and_leaves_the_cookie(
    gate: Gate, api: FakeApi, value: str, asked: bool
) -> None:
    headers = {"Authorization": value, **await gate.sign_in()}
    for path in ("/", "/nowhere"):
        answer = await gate.get(path, headers=headers)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "Set-Cookie" not in answer.headers
    assert api.calls == {GOOD: 1, **({BAD: 1} if asked else {})}
    assert [line["gate.outcome"] for line in await gate.log()][1:] == ["refused", "refused"]


async def test_a_good_one_opens_what_a_dead_cookie_would_not_and_renews_nothing(
    gate: Gate, clock: FakeClock
) -> None:
    reader = await gate.sign_in()
    clock.advance(2000)  # past half the idle time
    answer = await gate.get("/", headers={**reader, **BEARER})
    assert (answer.status, "Set-Cookie" in answer.headers) == (200, False)
    clock.advance(3600)
    assert (await gate.get("/", headers={**reader, **BEARER})).status == 200


async def test_an_outage_is_503_and_never_falls_back_to_the_cookie(
    gate: Gate, api: FakeApi
) -> None:
    reader = await gate.sign_in()
    api.fail(502)
    answer = await gate.get("/", headers={**reader, "Authorization": "Bearer another"})
    assert (answer.status, "Set-Cookie" in answer.headers) == (503, False)
    assert int(answer.headers["Retry-After"]) > 0
    assert (await gate.get("/", headers=reader)).status == 200


@pytest.mark.parametrize(
    "value", ["Basic dXNlcjpwYXNz", "Basic", "Digest username=x", "", "Bearertoken"]
)
async def test_other_schemes_are_ignored(gate: Gate, api: FakeApi, value: str) -> None:
    headers = {"Authorization": value}
    assert (await gate.get("/", headers=headers)).status == 401
    assert (await gate.get("/", headers={**headers, **await gate.sign_in()})).status == 200
    assert (await gate.get(f"/?token={GOOD}", headers=headers)).status == 303
    assert api.calls == {GOOD: 1}


async def test_a_bearer_that_equals_the_querys_token_begins_no_session(gate: Gate) -> None:
    answer = await gate.get(f"/?token={GOOD}", headers={**PERSON, **BEARER})
    assert (answer.status, "Set-Cookie" in answer.headers) == (200, False)


async def test_what_anyone_may_read_is_not_asked_about(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(site={"public": ("/guide/",)})
    for headers in (BEARER, REFUSED, {"Authorization": "Bearer two words"}):
        assert (await gate.get("/guide/", headers=headers)).status == 200
    assert api.count == 0
    assert {line["gate.outcome"] for line in await gate.log()} == {"public"}


async def test_a_public_page_renews_the_cookie_but_not_beside_a_bearer(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    gate = await make_gate(site={"public": ("/guide/",)}, cache={"ttl": 9000})
    reader = await gate.sign_in()
    clock.advance(2000)
    for headers, renewed in [({}, True), (BEARER, False)]:
        answer = await gate.get("/guide/", headers={**reader, **headers})
        assert (answer.status, "Set-Cookie" in answer.headers) == (200, renewed)


async def test_turned_off_it_is_no_token(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(intake={"bearer": False})
    assert (await gate.get("/", headers=BEARER)).status == 401
    assert (await gate.get("/", headers={**REFUSED, **await gate.sign_in()})).status == 200
    assert (await gate.get(f"/?token={GOOD}", headers=REFUSED)).status == 303
    assert BAD not in api.calls
