"""Many at once: how often the verify API is asked, and who waits."""

import asyncio
import random
from collections import Counter

import pytest

from gate.cache import Verdict, VerdictCache
from gate.outcome import Outcome
from gate.tokens import Token
from tests.conftest import Gate, MakeGate
from tests.fakes import GOOD, FakeApi, FakeClock
from tests.test_access import TOKEN, MakeWorld, Says, make_world  # noqa: F401 - a fixture

NEAR = [
    *(GOOD + tail for tail in ("x", "X", ".", "-", "_", "~", "+", "/", "=", "==", "0", "good")),
    *(GOOD[:length] for length in range(1, len(GOOD))),
    GOOD.upper(),
    GOOD.title(),
    GOOD.replace("o", "0"),
    *(GOOD + str(number) for number in range(27)),
]


async def test_ten_thousand_with_one_new_token_are_one_call(make_world: MakeWorld) -> None:  # noqa: F811
    world = make_world()
    world.verifier.go.clear()
    waiting = [asyncio.create_task(world.access.decide(None, bearer=TOKEN)) for _ in range(10_000)]
    await world.verifier.asked.wait()
    world.verifier.go.set()
    decisions = await asyncio.gather(*waiting)
    assert {decision.outcome for decision in decisions} == {Outcome.ALLOWED}
    assert world.verifier.count == 1


async def test_a_crowd_on_real_sockets_is_one_call(gate: Gate, api: FakeApi) -> None:
    released = api.hold()
    asking = [asyncio.create_task(gate.get(f"/?token={GOOD}")) for _ in range(300)]
    await api.asked.wait()
    released.set()
    assert {response.status for response in await asyncio.gather(*asking)} == {303}
    assert api.count == 1


async def test_the_first_to_ask_may_leave_and_the_others_are_answered(
    gate: Gate, api: FakeApi
) -> None:
    released = api.hold()
    first = asyncio.create_task(gate.get(f"/?token={GOOD}"))
    await api.asked.wait()
    others = [asyncio.create_task(gate.get(f"/?token={GOOD}")) for _ in range(10)]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    released.set()
    assert {response.status for response in await asyncio.gather(*others)} == {303}
    assert api.count == 1


async def test_a_hung_flight_frees_everybody_at_the_time_out(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(verify={"timeout": 0.2})
    released = api.hold()
    asking = [asyncio.create_task(gate.get(f"/?token={GOOD}")) for _ in range(20)]
    assert {response.status for response in await asyncio.gather(*asking)} == {503}
    released.set()


async def test_a_warm_reader_never_waits_for_an_api_that_hangs(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await make_gate(verify={"timeout": 60})
    cookie = await gate.sign_in()
    released = api.hold()
    clock.advance(250)
    for _ in range(3):
        assert (await gate.get("/", headers=cookie)).status == 200
    assert api.count == 2, "one refresh ahead, in the background"
    released.set()


@pytest.mark.parametrize("refresh_ahead", [0.0, 0.8])
async def test_verdicts_that_were_made_together_are_asked_about_spread_out(
    clock: FakeClock, refresh_ahead: float
) -> None:
    calls: Counter[int] = Counter()
    dice = random.Random(7)
    cache = VerdictCache(
        ttl=300,
        negative_ttl=5,
        max_entries=1000,
        refresh_ahead=refresh_ahead,
        clock=clock.monotonic,
        wall=clock.wall,
        uniform=dice.random,
    )

    async def ask() -> Verdict:
        calls[int(clock.ticks)] += 1
        return Verdict(active=True)

    keys = [b"%d" % number for number in range(500)]
    for key in keys:
        await cache.verdict(key, ask)
    calls.clear()
    for _ in range(300):
        clock.advance(1)
        for key in keys:
            if cache.get(key, ask) is None:
                await cache.verdict(key, ask)
        await cache.settled()
    assert calls.total() >= 500
    assert max(calls.values()) <= 50


@pytest.mark.parametrize("says", ["no", "cannot say"])
async def test_random_tokens_leave_no_more_than_their_bound_behind(
    make_world: MakeWorld,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    says: Says,
) -> None:
    monkeypatch.setattr("gate.cache.REFUSALS", 20)
    world = make_world()
    world.verifier.says = says
    for number in range(2000):
        token = Token(f"random-{number}")
        await (
            world.access.admit(token, None)
            if number % 2
            else world.access.decide(None, bearer=token)
        )
    assert world.verifier.count == 2000
    kept = world.cache.statistics()
    assert (kept.size, kept.refusals, kept.flights) == (0, 20 if says == "no" else 0, 0)
    assert len(world.access._keys) == 0


async def test_readers_leave_no_more_than_the_bounds_behind(
    make_world: MakeWorld,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gate.access.KEYS_KNOWN", 50)
    monkeypatch.setattr("gate.seal.REMEMBERED", 60)
    world = make_world()
    for number in range(500):
        admitted = await world.access.admit(Token(f"reader-{number}"), None)
        assert admitted.session is not None
        cookie = world.seal.set_cookie(admitted.session).partition(";")[0]
        assert (await world.access.decide(world.seal.open(cookie))).outcome is Outcome.ALLOWED
    assert world.cache.statistics().size == 100
    assert len(world.access._keys) <= 50
    assert len(world.seal._seal._opened) == 60


async def test_near_identical_tokens_are_judged_alone_by_two_gates(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gates = [await make_gate(), await make_gate()]
    tokens = [GOOD, *dict.fromkeys(NEAR)]

    async def status(gate: Gate, token: str) -> int:
        answer = await gate.get("/", headers={"Authorization": f"Bearer {token}"})
        return answer.status

    for gate in gates:
        found = await asyncio.gather(*(status(gate, token) for token in tokens))
        assert found == [200] + [401] * (len(tokens) - 1)
    assert set(api.calls.values()) == {2}
