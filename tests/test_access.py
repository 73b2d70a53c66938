"""The decision, as one table: session, token, cache and verify API make an outcome."""

from collections.abc import Callable
from typing import Literal

import pytest

from gate.access import Access
from gate.cache import Verdict, VerdictCache
from gate.outcome import Outcome
from gate.session import Session, SessionSeal
from gate.settings import SessionSettings
from gate.tokens import Token
from gate.verifier import VerifyUnavailable
from tests.fakes import FakeClock

TOKEN, OTHER = Token("token"), Token("other")
Says = Literal["yes", "no", "cannot say"]


class ScriptedVerifier:
    """The verify API's verdict, as the test sets it."""

    def __init__(self, says: Says = "yes") -> None:
        self.says: Says = says
        self.count = 0

    async def verify(self, token: Token) -> Verdict:
        self.count += 1
        if self.says == "cannot say":
            raise VerifyUnavailable("out of order", retry_after=7)
        return Verdict(active=self.says == "yes", subject="reader")


class World:
    """Everything a decision depends on."""

    def __init__(self, clock: FakeClock, *, recheck: bool = True) -> None:
        self.clock = clock
        settings = SessionSettings(idle_timeout=600, lifetime=3600, recheck=recheck)
        self.seal = SessionSeal(settings, [bytes(32)], clock.wall)
        self.verifier = ScriptedVerifier()
        self.access = Access(
            seal=self.seal,
            cache=VerdictCache(
                ttl=300,
                negative_ttl=5,
                max_entries=100,
                clock=clock.monotonic,
                wall=clock.wall,
                uniform=lambda: 0.0,
            ),
            verifier=self.verifier,
            secret=bytes(32),
            fingerprint=b"",
            recheck=recheck,
            clock=clock.monotonic,
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
def make_world(clock: FakeClock) -> Callable[..., World]:
    return lambda **options: World(clock, **options)


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


async def test_a_ticket_ends_when_tokens_are_asked_about_again(
    make_world: MakeWorld, clock: FakeClock
) -> None:
    ticket = (await make_world(recheck=False).access.admit(TOKEN, None)).session
    decision = await World(clock, recheck=True).access.decide(ticket)
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
