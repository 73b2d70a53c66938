"""A decision that is used again: while a permit holds, the decision made anew is the same yes."""

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gate.access import Permit
from gate.cache import Verdict
from gate.outcome import Outcome
from gate.seal import Session
from gate.state.journal import Journal
from gate.state.revocations import Revocations
from tests.fakes import FakeClock
from tests.test_access import TOKEN, MakeWorld, World

Change = Callable[[World, Session], Awaitable[object] | object]


@pytest.fixture
def make_world(clock: FakeClock, tmp_path: Path) -> Iterator[MakeWorld]:
    with closing(Journal(tmp_path / "revocations")) as journal:
        revocations = Revocations(
            journal, lifetime=3600, wall=clock.wall, monotonic=clock.monotonic
        )
        yield lambda **options: World(clock, revocations, **options)


@pytest.fixture
def elsewhere(clock: FakeClock, tmp_path: Path) -> Iterator[Revocations]:
    """What another worker knows."""
    with closing(Journal(tmp_path / "revocations")) as journal:
        yield Revocations(journal, lifetime=3600, wall=clock.wall, monotonic=clock.monotonic)


async def permitted(world: World) -> tuple[Session, Permit]:
    """A session that just began, with its permit."""
    await world.warm("yes")
    session = world.session("fresh")
    assert session is not None
    found = world.access.at_once(session, public=False)
    assert found is not None
    assert found[1] is not None
    return session, found[1]


def step(world: World, seconds: float) -> None:
    """Put the wall clock forward or back."""
    world.clock.unix += seconds


def key_of(world: World) -> bytes:
    return world.access._key(TOKEN)


async def refused_meanwhile(world: World, session: Session) -> None:
    world.cache.drop(key_of(world))
    world.verifier.says = "no"
    await world.access.decide(None, bearer=TOKEN)


async def crowded_out(world: World, session: Session) -> None:
    async def good() -> Verdict:
        return Verdict(active=True)

    for number in range(100):
        await world.cache.verdict(b"%d" % number, good)


ENDS: dict[str, Change] = {
    "signed out": lambda world, session: world.revocations.end("session", session.id),
    "token revoked": lambda world, session: world.revocations.end("token", TOKEN.fingerprint),
    "everything revoked": lambda world, session: world.revocations.end("everything"),
    "verdict dropped": lambda world, session: world.cache.drop(key_of(world)),
    "all verdicts dropped": lambda world, session: world.cache.clear(),
    "verdict crowded out": crowded_out,
    "refused meanwhile": refused_meanwhile,
    "not looked at for a minute": lambda world, session: world.clock.advance(60),
    "verdict run out": lambda world, session: world.clock.advance(300),
    "half idle": lambda world, session: world.clock.advance(300),
    "clock two minutes back": lambda world, session: step(world, -120),
    "clock a day ahead": lambda world, session: step(world, 86400),
}


@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
async def test_a_permit_ends_at_once(make_world: MakeWorld, change: Change) -> None:
    world = make_world()
    session, permit = await permitted(world)
    assert world.access.holds(permit, world.clock.wall())
    done = change(world, session)
    if isinstance(done, Awaitable):
        await done
    assert not world.access.holds(permit, world.clock.wall())


async def test_a_sign_out_at_another_worker_ends_it(
    make_world: MakeWorld, clock: FakeClock, elsewhere: Revocations
) -> None:
    world = make_world()
    session, permit = await permitted(world)
    await elsewhere.end("session", session.id)
    assert not world.access.holds(permit, clock.wall())


async def test_it_holds_as_long_as_nothing_changes(make_world: MakeWorld, clock: FakeClock) -> None:
    world = make_world()
    _, permit = await permitted(world)
    clock.advance(59)
    await world.revocations.tidy()
    assert world.access.holds(permit, clock.wall())
    assert world.verifier.count == 0


async def test_it_ends_with_the_token(make_world: MakeWorld, clock: FakeClock) -> None:
    world = make_world()
    end = clock.wall() + 20

    async def until_then() -> Verdict:
        return Verdict(active=True, subject="reader", expires=end)

    await world.cache.verdict(key_of(world), until_then)
    found = world.access.at_once(world.session("fresh"), public=False)
    assert found is not None
    assert found[1] is not None
    clock.advance(19.9)
    assert world.access.holds(found[1], clock.wall())
    clock.advance(0.1)
    assert not world.access.holds(found[1], clock.wall())


async def test_tickets_have_permits_too(make_world: MakeWorld, clock: FakeClock) -> None:
    world = make_world(recheck=False)
    session = world.session("fresh")
    assert session is not None
    found = world.access.at_once(session, public=False)
    assert found is not None
    assert found[1] is not None
    clock.advance(299)
    assert world.access.holds(found[1], clock.wall())
    await world.revocations.end("session", session.id)
    assert not world.access.holds(found[1], clock.wall())


@pytest.mark.parametrize("seed", range(20))
async def test_whenever_one_holds_the_decision_is_the_same_yes(
    make_world: MakeWorld, seed: int
) -> None:
    world, chance = make_world(), random.Random(seed)
    session, permit = await permitted(world)
    held = 0
    for _ in range(60):
        changes = [lambda: world.clock.advance(chance.uniform(0, 40))] * 8
        changes += [lambda: step(world, chance.uniform(-70, 70)), world.cache.clear]
        chance.choice(changes)()
        if chance.random() < 0.02:
            await world.revocations.end("session", session.id)
        holds = world.access.holds(permit, world.clock.wall())
        decision = world.access.recall(session)
        if holds:
            held += 1
            assert decision is not None
            assert (decision.outcome, decision.session) == (Outcome.ALLOWED, None)
            assert decision.subject == permit.subject
        elif decision is None:  # forgotten: asked about anew
            await world.access.decide(None, bearer=TOKEN)
        found = world.access.at_once(session, public=False)
        permit = (found and found[1]) or permit
    assert held
