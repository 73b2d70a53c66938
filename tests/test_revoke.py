"""Sign-out and revocation from outside: who may order it, what ends, and what the answer means."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gate.state.journal import Journal, JournalProblem
from tests.conftest import KEY, OTHER_KEY, Gate, MakeGate, cookie_of
from tests.fakes import GOOD, FakeApi, FakeClock
from tests.in_turn import in_turn
from tests.processes import PATIENCE

SECRET = "a-secret-of-good-length"
KNOWN = {"Authorization": f"Bearer {SECRET}"}
OTHER = "other-token"

MakeOrder = Callable[[FakeClock], dict[str, Any]]
ORDERS: dict[str, MakeOrder] = {
    "token": lambda clock: {"token": GOOD},
    "subject": lambda clock: {"subject": "ann"},
    "before": lambda clock: {"before": clock.wall()},
}
every_order = pytest.mark.parametrize("kind", ORDERS)
both_rechecks = pytest.mark.parametrize("recheck", [True, False])
in_one_worker = pytest.mark.parametrize("make_gate", [1], indirect=True)


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def make_gate(make_gate: MakeGate, request: pytest.FixtureRequest, clock: FakeClock) -> MakeGate:
    return in_turn(make_gate, request.param, clock)


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.tokens = {
        GOOD: {"active": True, "sub": "ann"},
        OTHER: {"active": True, "sub": "bob"},
        "third-token": {"active": True, "sub": "ann"},
        SECRET: {"active": False},
    }
    return api


async def start(make_gate: MakeGate, **sections: Any) -> Gate:
    verify = {"active": "/active", **sections.pop("verify", {})}
    return await make_gate(verify=verify, revoke={"secret": SECRET}, **sections)


async def revoke(gate: Gate, order: object, headers: dict[str, str] = KNOWN) -> int:
    return (await gate.post("/-/revoke", json=order, headers=headers)).status


async def status(gate: Gate, headers: dict[str, str]) -> int:
    return (await gate.get("/", headers=headers)).status


@every_order
@both_rechecks
async def test_what_is_revoked_has_ended(
    make_gate: MakeGate, clock: FakeClock, kind: str, recheck: bool
) -> None:
    gate = await start(make_gate, session={"recheck": recheck})
    ann, bob = await gate.sign_in(GOOD), await gate.sign_in(OTHER)
    assert await revoke(gate, ORDERS[kind](clock)) == 204
    assert await status(gate, ann) == 401
    assert await status(gate, bob) == (401 if kind == "before" else 200)


@every_order
async def test_it_holds_after_a_restart_with_other_keys(
    make_gate: MakeGate, clock: FakeClock, kind: str
) -> None:
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)
    assert await revoke(gate, ORDERS[kind](clock)) == 204
    clock.advance(0.001)
    again = await start(make_gate, keys=(OTHER_KEY, KEY))
    assert await status(again, ann) == 401


@every_order
async def test_another_worker_knows_at_once(
    make_gate: MakeGate, clock: FakeClock, kind: str
) -> None:
    gate, worker = await start(make_gate), await start(make_gate)
    ann = await gate.sign_in(GOOD)
    assert await status(worker, ann) == 200
    assert await revoke(gate, ORDERS[kind](clock)) == 204
    assert await status(worker, ann) == 401


@pytest.mark.parametrize("kind", ["subject", "before"])
async def test_whoever_comes_again_with_another_token_is_judged_anew(
    make_gate: MakeGate, clock: FakeClock, kind: str
) -> None:
    gate = await start(make_gate)
    await gate.sign_in(GOOD)
    assert await revoke(gate, ORDERS[kind](clock)) == 204
    clock.advance(0.001)
    assert await status(gate, await gate.sign_in("third-token")) == 200


async def test_a_revoked_token_does_not_come_in_again(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await start(make_gate)
    assert await revoke(gate, {"token": GOOD}) == 204
    assert (await gate.get(f"/?token={GOOD}")).status == 401
    assert await status(gate, {"Authorization": f"Bearer {GOOD}"}) == 401
    assert api.count == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": SECRET},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer \xff"},
        {"Cookie": f"__Host-gate={SECRET}"},
    ],
)
async def test_without_the_secret_nothing_ends(
    make_gate: MakeGate, api: FakeApi, headers: dict[str, str]
) -> None:
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)
    answer = await gate.post("/-/revoke", json={"token": GOOD}, headers=headers)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "Set-Cookie" not in answer.headers
    assert await status(gate, ann) == 200
    assert api.count == 1, "the secret is no token"


async def test_the_secret_opens_nothing_else(make_gate: MakeGate) -> None:
    gate = await start(make_gate)
    assert await status(gate, KNOWN) == 401


async def test_it_is_not_there_without_a_secret(gate: Gate) -> None:
    for headers in ({}, KNOWN, {"Authorization": "Bearer "}):
        assert (await gate.post("/-/revoke", json={}, headers=headers)).status == 404


@pytest.mark.parametrize(
    "order",
    [
        {},
        [],
        "token",
        {"token": 1},
        {"token": ""},
        {"token": "a b"},
        {"subject": None},
        {"before": "now"},
        {"before": True},
        {"before": -1},
        {"before": 99_999_999_999},
        {"token": GOOD, "subject": "ann"},
        {"other": GOOD},
    ],
)
async def test_an_order_that_is_none_ends_nothing(make_gate: MakeGate, order: object) -> None:
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)
    assert await revoke(gate, order) == 400
    assert await status(gate, ann) == 200


async def test_only_json_is_an_order(make_gate: MakeGate) -> None:
    gate = await start(make_gate)
    answer = await gate.post("/-/revoke", data={"token": GOOD}, headers=KNOWN)
    assert answer.status == 415


async def test_signing_out_ends_every_copy_of_the_cookie(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    gate, worker = await start(make_gate), await start(make_gate)
    ann = await gate.sign_in(GOOD)
    clock.advance(2000)
    renewed = {"Cookie": cookie_of(await gate.get("/", headers=ann))}
    answer = await gate.post("/-/sign-out", headers={**ann, "Origin": gate.origin})
    assert answer.status == 303
    for each in (gate, worker):
        assert await status(each, ann) == 401
        assert await status(each, renewed) == 401
    assert await status(gate, await gate.sign_in(GOOD)) == 200, "the token itself is still good"


async def test_a_renewal_under_way_does_not_bring_a_session_back(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)
    clock.advance(2000)
    before = await gate.get("/", headers=ann)
    await gate.post("/-/sign-out", headers={**ann, "Origin": gate.origin})
    assert await status(gate, {"Cookie": cookie_of(before)}) == 401


async def test_who_signs_out_while_the_verify_api_is_asked_is_not_let_in_by_its_answer(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)
    clock.advance(2000)  # past the verdict, and past half the idle time
    released = api.hold()
    page = asyncio.create_task(gate.get("/", headers=ann))
    await api.asked.wait()
    assert (await gate.post("/-/sign-out", headers={**ann, "Origin": gate.origin})).status == 303
    released.set()
    answer = await page
    assert (answer.status, answer.headers.get("Set-Cookie")) == (401, None)


@in_one_worker
@pytest.mark.parametrize("way", ["sign-out", "revoke"])
async def test_what_cannot_be_written_is_503_and_readiness_says_why(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)

    def refuse(self: Journal, line: bytes) -> None:
        raise JournalProblem("no space left")

    async def order() -> Any:
        if way == "revoke":
            return await gate.post("/-/revoke", json={"token": GOOD}, headers=KNOWN)
        return await gate.post("/-/sign-out", headers={**ann, "Origin": gate.origin})

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", refuse)
        answer = await order()
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Set-Cookie" not in answer.headers
    ready = await gate.get("/-/readyz")
    assert (ready.status, "no space left" in await ready.text()) == (503, True)
    assert await status(gate, ann) == 401, "this worker knows all the same"
    assert (await order()).status in (204, 303)
    assert (await gate.get("/-/readyz")).status == 200


@in_one_worker
async def test_what_could_not_be_written_is_written_once_the_disk_lets_us(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.app.WRITE_SECONDS", 0.01)
    gate = await start(make_gate)
    ann = await gate.sign_in(GOOD)

    def refuse(self: Journal, line: bytes) -> None:
        raise JournalProblem("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", refuse)
        answer = await gate.post("/-/sign-out", headers={**ann, "Origin": gate.origin})
        assert answer.status == 503
        assert (await gate.get("/-/readyz")).status == 503
    async with asyncio.timeout(PATIENCE):
        while (await gate.get("/-/readyz")).status != 200:
            pass
    assert await status(await start(make_gate), ann) == 401, "another worker knows as well"


async def test_neither_secret_nor_token_nor_subject_is_logged_or_stored(
    make_gate: MakeGate, docs_tree: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate = await start(make_gate)
    await revoke(gate, {"token": "canary-token"})
    await revoke(gate, {"subject": "canary-subject"})
    stored = (docs_tree.parent / "state" / "revocations").read_bytes()
    await gate.log()
    for canary in (SECRET, "canary-token", "canary-subject"):
        assert canary.encode() not in gate.lines.raw + stored
        assert canary not in caplog.text
