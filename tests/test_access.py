"""The decision, as one table: session, token, cache and verify API make an outcome."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from gate.access import Access, Tier
from gate.cache import Verdict, VerdictCache
from gate.clocks import Clocks
from gate.config.settings import SessionSettings
from gate.outcome import Outcome
from gate.seal import Session
from gate.session import SessionSeal
from gate.state.journal import Journal
from gate.state.revocations import Revocations, fingerprint_of_subject
from gate.tokens import Token
from gate.verify.cause import Cause
from gate.verify.judge import VerifyUnavailable
from tests.fakes import FakeClock

TOKEN, OTHER = Token("token"), Token("other")
Says = Literal["yes", "no", "cannot say"]


class ScriptedVerifier:
    """The verify API's verdict, as the test sets it."""

    def __init__(self, says: Says = "yes") -> None:
        self.says: Says = says
        self.count = 0
        self.go = asyncio.Event()
        self.go.set()
        self.asked = asyncio.Event()

    async def verify(self, token: Token) -> Verdict:
        self.count += 1
        self.asked.set()
        await self.go.wait()
        if self.says == "cannot say":
            raise VerifyUnavailable(Cause.SERVER_ERROR, "out of order", retry_after=7)
        return Verdict(active=self.says == "yes", subject="reader")


class World:
    """Everything a decision depends on."""

    def __init__(
        self,
        clock: FakeClock,
        revocations: Revocations,
        *,
        recheck: bool = True,
        stale_if_error: float = 0,
        shared: Tier | None = None,
    ) -> None:
        self.clock = clock
        self.revocations = revocations
        settings = SessionSettings(idle_timeout=600, lifetime=3600, recheck=recheck)
        self.seal = SessionSeal(settings, [bytes(32)], clock.wall)
        self.verifier = ScriptedVerifier()
        self.cache = VerdictCache(
            ttl=300,
            negative_ttl=5,
            max_entries=100,
            stale_if_error=stale_if_error,
            clock=clock.monotonic,
            wall=clock.wall,
            uniform=lambda: 0.0,
        )
        self.access = Access(
            seal=self.seal,
            cache=self.cache,
            verifier=self.verifier,
            revocations=self.revocations,
            secret=bytes(32),
            fingerprint=b"",
            recheck=recheck,
            clocks=Clocks(clock.monotonic, clock.wall),
            shared=shared,
        )

    def session(self, state: str) -> Session | None:
        """A session in one of the states of the table; the clock moves on for old ones."""
        if state == "none":
            return None
        session = self.seal.new(TOKEN, expires=None, subject=None)
        self.clock.advance({"fresh": 0, "half idle": 300, "idle": 600, "old": 3600}[state])
        return self.seal.renewed(session) if state == "old" else session

    async def warm(self, says: Says) -> None:
        """Let the cache remember what the API says about `TOKEN`."""
        self.verifier.says = says
        await self.access.decide(None, bearer=TOKEN)
        self.verifier.count = 0


@pytest.fixture
def make_world(clock: FakeClock, tmp_path: Path) -> Iterator[Callable[..., World]]:
    with closing(Journal(tmp_path / "revocations")) as journal:
        revocations = Revocations(
            journal, lifetime=3600, wall=clock.wall, monotonic=clock.monotonic
        )
        yield lambda **options: World(clock, revocations, **options)


MakeWorld = Callable[..., World]

_ALLOWED, _REFUSED, _UNAVAILABLE = Outcome.ALLOWED, Outcome.REFUSED, Outcome.UNAVAILABLE
TABLE = [
    # session, bearer, remembered, API now → outcome, calls
    ("none", None, None, "yes", Outcome.NO_TOKEN, 0),
    ("fresh", None, "yes", "no", _ALLOWED, 0),
    ("fresh", None, "no", "yes", _REFUSED, 0),
    ("fresh", None, None, "yes", _ALLOWED, 1),
    ("fresh", None, None, "no", _REFUSED, 1),
    ("fresh", None, None, "cannot say", _UNAVAILABLE, 1),
    ("fresh", None, "yes", "cannot say", _ALLOWED, 0),
    ("half idle", None, None, "yes", _ALLOWED, 1),
    ("half idle", None, None, "no", _REFUSED, 1),
    ("idle", None, None, "yes", Outcome.EXPIRED, 0),
    ("old", None, None, "yes", Outcome.EXPIRED, 0),
    ("idle", None, None, "cannot say", Outcome.EXPIRED, 0),
    ("none", TOKEN, None, "yes", _ALLOWED, 1),
    ("none", TOKEN, None, "no", _REFUSED, 1),
    ("none", TOKEN, None, "cannot say", _UNAVAILABLE, 1),
    ("none", TOKEN, "yes", "no", _ALLOWED, 0),
    ("none", TOKEN, "no", "yes", _REFUSED, 0),
    ("fresh", OTHER, "yes", "no", _REFUSED, 1),
    ("fresh", OTHER, "no", "yes", _ALLOWED, 1),
]


@pytest.mark.parametrize(("state", "bearer", "remembered", "api", "outcome", "calls"), TABLE)
async def test_the_decision(
    make_world: MakeWorld,
    state: str,
    bearer: Token | None,
    remembered: Says | None,
    api: Says,
    outcome: Outcome,
    calls: int,
) -> None:
    world = make_world()
    session = world.session(state)
    if remembered is not None:
        await world.warm(remembered)
    world.verifier.says = api
    decision = await world.access.decide(session, bearer=bearer)
    assert (decision.outcome, world.verifier.count) == (outcome, calls)


@pytest.mark.parametrize("state", ["none", "fresh", "idle"])
@pytest.mark.parametrize("bearer", [None, TOKEN])
@pytest.mark.parametrize("api", ["yes", "no", "cannot say"])
async def test_nobody_is_asked_about_what_anyone_may_read(
    make_world: MakeWorld, state: str, bearer: Token | None, api: Says
) -> None:
    world = make_world()
    world.verifier.says = api
    decision = await world.access.decide(world.session(state), bearer=bearer, public=True)
    assert decision.outcome is Outcome.PUBLIC
    assert world.verifier.count == 0


@pytest.mark.parametrize(
    ("state", "renews"), [("fresh", False), ("half idle", True)], ids=["fresh", "half idle"]
)
async def test_a_session_is_renewed_once_half_its_idle_time_has_gone(
    make_world: MakeWorld, state: str, renews: bool
) -> None:
    world = make_world()
    decision = await world.access.decide(world.session(state))
    assert (decision.session is not None) is renews
    if decision.session is not None:
        assert decision.session.renewed == world.clock.wall()


async def test_a_bearer_token_renews_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    decision = await world.access.decide(world.session("half idle"), bearer=TOKEN)
    assert decision.session is None


async def test_the_verdict_is_asked_for_again_when_it_has_run_out(make_world: MakeWorld) -> None:
    world = make_world()
    session = world.session("fresh")
    await world.warm("yes")
    world.clock.advance(299)
    assert (await world.access.decide(session)).outcome is _ALLOWED
    world.verifier.says = "no"
    world.clock.advance(1)
    assert (await world.access.decide(session)).outcome is _REFUSED


@pytest.mark.parametrize(
    ("api", "outcome"), [("yes", Outcome.INTAKE), ("no", _REFUSED), ("cannot say", _UNAVAILABLE)]
)
@pytest.mark.parametrize("state", ["none", "fresh", "idle"])
async def test_a_new_token_is_judged_whatever_session_there_is(
    make_world: MakeWorld, state: str, api: Says, outcome: Outcome
) -> None:
    world = make_world()
    world.verifier.says = api
    decision = await world.access.admit(OTHER, world.session(state))
    assert (decision.outcome, world.verifier.count) == (outcome, 1)
    assert (decision.session is not None) is (outcome is Outcome.INTAKE)
    if decision.session is not None:
        assert decision.session.holds(OTHER)


@pytest.mark.parametrize("recheck", [True, False])
async def test_the_sessions_own_token_is_no_new_token(make_world: MakeWorld, recheck: bool) -> None:
    world = make_world(recheck=recheck)
    world.verifier.says = "no"
    decision = await world.access.admit(TOKEN, world.session("fresh"))
    assert decision.outcome is Outcome.INTAKE
    assert decision.session is None
    assert world.verifier.count == 0


async def test_the_token_of_a_session_that_ran_out_is_judged_again(make_world: MakeWorld) -> None:
    world = make_world()
    decision = await world.access.admit(TOKEN, world.session("idle"))
    assert (decision.outcome, world.verifier.count) == (Outcome.INTAKE, 1)
    assert decision.session is not None


async def test_a_ticket_is_asked_about_once_and_not_kept(make_world: MakeWorld) -> None:
    world = make_world(recheck=False)
    admitted = await world.access.admit(TOKEN, None)
    assert admitted.session is not None
    assert admitted.session.token is None
    world.verifier.says = "no"
    world.clock.advance(599)
    decision = await world.access.decide(admitted.session)
    assert (decision.outcome, decision.subject) == (_ALLOWED, "reader")
    assert world.verifier.count == 1


class Shelf:
    """Verdicts that another replica got."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Verdict] = {}

    async def get(self, key: bytes) -> Verdict | None:
        return self.kept.get(key)

    async def put(self, key: bytes, verdict: Verdict) -> None:
        self.kept[key] = verdict


@pytest.mark.parametrize(("recheck", "asked", "kept"), [(True, 1, 1), (False, 2, 0)])
async def test_a_ticket_that_was_good_on_one_replica_is_not_good_on_the_others(
    make_world: MakeWorld, recheck: bool, asked: int, kept: int
) -> None:
    shared = Shelf()
    replicas = [make_world(recheck=recheck, shared=shared) for _ in range(2)]
    for replica in replicas:
        await replica.access.admit(TOKEN, None)
    assert sum(replica.verifier.count for replica in replicas) == asked
    assert len(shared.kept) == kept


async def test_a_ticket_ends_when_tokens_are_asked_about_again(
    make_world: MakeWorld,
) -> None:
    ticket = (await make_world(recheck=False).access.admit(TOKEN, None)).session
    decision = await make_world(recheck=True).access.decide(ticket)
    assert decision.outcome is Outcome.EXPIRED


async def test_unavailable_says_when_to_try_again(make_world: MakeWorld) -> None:
    world = make_world()
    world.verifier.says = "cannot say"
    assert (await world.access.decide(None, bearer=TOKEN)).retry_after == 7


@pytest.mark.parametrize("tail", ["x", "=", "TOKEN", "token.", "tokeN"])
async def test_a_near_identical_token_is_judged_alone(make_world: MakeWorld, tail: str) -> None:
    world = make_world()
    await world.warm("yes")
    world.verifier.says = "no"
    decision = await world.access.decide(None, bearer=Token("token" + tail))
    assert (decision.outcome, world.verifier.count) == (_REFUSED, 1)


@pytest.mark.parametrize(
    ("since", "api", "outcome"),
    [
        (299, "cannot say", _ALLOWED),
        (300, "cannot say", Outcome.STALE),
        (359, "cannot say", Outcome.STALE),
        (360, "cannot say", _UNAVAILABLE),
        (300, "no", _REFUSED),
        (300, "yes", _ALLOWED),
    ],
)
@pytest.mark.parametrize("way", ["session", "bearer"])
async def test_a_yes_that_ran_out_serves_while_the_api_cannot_say(
    make_world: MakeWorld, since: float, api: Says, outcome: Outcome, way: str
) -> None:
    world = make_world(stale_if_error=60)
    session = world.session("fresh") if way == "session" else None
    await world.warm("yes")
    world.clock.advance(since)
    world.verifier.says = api
    bearer = TOKEN if way == "bearer" else None
    assert (await world.access.decide(session, bearer=bearer)).outcome is outcome


async def test_nobody_comes_in_on_a_stale_verdict(make_world: MakeWorld) -> None:
    world = make_world(stale_if_error=60)
    await world.warm("yes")
    world.clock.advance(300)
    world.verifier.says = "cannot say"
    decision = await world.access.admit(TOKEN, None)
    assert (decision.outcome, decision.session) == (_UNAVAILABLE, None)
    assert decision.retry_after > 0


async def end(world: World, kind: str, session: Session | None) -> None:
    match kind:
        case "session":
            await world.revocations.end("session", session.id if session else "")
        case "token":
            await world.revocations.end("token", TOKEN.fingerprint)
        case "subject":
            await world.revocations.end("subject", fingerprint_of_subject("reader"))
        case "everything":
            await world.revocations.end("everything")


KINDS = ["session", "token", "subject", "everything"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recheck", [True, False])
@pytest.mark.parametrize("warm", [True, False])
async def test_a_revoked_session_has_ended_with_every_copy(
    make_world: MakeWorld, kind: str, recheck: bool, warm: bool
) -> None:
    world = make_world(recheck=recheck)
    session = (await world.access.admit(TOKEN, None)).session
    assert session is not None
    if not warm:
        world.clock.advance(300)
    await end(world, kind, session)
    world.clock.advance(0.001)
    for copy in (session, world.seal.renewed(session)):
        decision = await world.access.decide(copy)
        assert decision.outcome in (Outcome.EXPIRED, _REFUSED)
        assert decision.session is None


@pytest.mark.parametrize("kind", KINDS)
async def test_what_comes_after_a_revocation_is_not_ended_by_it(
    make_world: MakeWorld, kind: str
) -> None:
    world = make_world()
    old = (await world.access.admit(TOKEN, None)).session
    await end(world, kind, old)
    world.clock.advance(0.001)
    new = await world.access.admit(OTHER, old)
    assert new.outcome is Outcome.INTAKE
    assert (await world.access.decide(new.session)).outcome is _ALLOWED


@pytest.mark.parametrize("kind", ["subject", "everything"])
async def test_a_verdict_from_before_a_revocation_is_asked_for_again(
    make_world: MakeWorld, kind: str
) -> None:
    world = make_world()
    await world.warm("yes")
    await end(world, kind, None)
    world.clock.advance(1)
    world.verifier.says = "no"
    decision = await world.access.decide(None, bearer=TOKEN)
    assert (decision.outcome, world.verifier.count) == (_REFUSED, 1)


async def test_a_revoked_token_is_refused_without_asking(make_world: MakeWorld) -> None:
    world = make_world()
    await end(world, "token", None)
    for decision in (
        await world.access.decide(None, bearer=TOKEN),
        await world.access.admit(TOKEN, None),
    ):
        assert decision.outcome is _REFUSED
    assert world.verifier.count == 0


@pytest.mark.parametrize("kind", ["token", "subject", "everything"])
async def test_a_flight_begun_before_a_revocation_stores_nothing_and_admits_nobody(
    make_world: MakeWorld, kind: str
) -> None:
    world = make_world()
    world.verifier.go.clear()
    flight = asyncio.create_task(world.access.admit(TOKEN, None))
    await world.verifier.asked.wait()
    await end(world, kind, None)
    world.verifier.go.set()
    admitted = await flight
    assert (admitted.outcome, admitted.session) == (_UNAVAILABLE, None)
    world.clock.advance(1)
    world.verifier.says = "no"
    assert (await world.access.decide(None, bearer=TOKEN)).outcome is _REFUSED


async def test_a_stale_verdict_does_not_outlive_a_revocation(make_world: MakeWorld) -> None:
    world = make_world(stale_if_error=60)
    await world.warm("yes")
    world.clock.advance(310)
    await end(world, "subject", None)
    world.verifier.says = "cannot say"
    assert (await world.access.decide(None, bearer=TOKEN)).outcome is _UNAVAILABLE


@pytest.mark.parametrize("recheck", [True, False])
async def test_a_used_ticket_opens_no_second_session_from_memory(
    make_world: MakeWorld, recheck: bool
) -> None:
    world = make_world(recheck=recheck)
    first = await world.access.admit(TOKEN, None)
    world.verifier.says = "no"
    again = await world.access.admit(TOKEN, first.session)
    assert (again.outcome, again.session) == (Outcome.INTAKE, None)
    stranger = await world.access.admit(TOKEN, None)
    assert stranger.outcome is (Outcome.INTAKE if recheck else Outcome.REFUSED)
