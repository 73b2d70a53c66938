"""The shared tier with a real server: replicas that know together, and none that opens because the
server is gone, slow, empty, hostile or somebody else."""

import asyncio
import logging
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gate.access import Access
from gate.cache import Verdict, VerdictCache
from gate.clocks import Clocks
from gate.config.settings import SessionSettings
from gate.outcome import Outcome
from gate.readiness import Readiness
from gate.seal import Session
from gate.session import SessionSeal
from gate.shared.envelope import Envelope
from gate.shared.link import Linker, Pace
from gate.shared.tier import SharedTier
from gate.shared.url import url_problem
from gate.state.journal import Journal
from gate.state.revocations import (
    Kind,
    Revocation,
    RevocationProblem,
    Revocations,
    fingerprint_of_subject,
)
from gate.tokens import Token
from tests.fakes import FakeClock
from tests.redis_server import (
    PASSWORD,
    URL_PASSWORD,
    BadLine,
    RedisServer,
    free_port,
    make_certificate,
    redis_server,
)

ROOT = Path(__file__).parent.parent
TOKEN = Token("token")
KEYS = (bytes(range(32)), bytes(range(1, 33)))
TTL = 300.0
PACE = Pace(connect=10, call=10, beat=0.05, reload=600, retry_first=0.01, retry_last=0.05)
"""Quick to look and slow to give up: a busy machine is no failing server."""
HASTY = replace(PACE, connect=0.5, call=0.5)

ALLOWED, REFUSED, EXPIRED = Outcome.ALLOWED, Outcome.REFUSED, Outcome.EXPIRED


class Api:
    """A verify API that all replicas ask: it refuses what the test says, and counts."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.calls: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.calls.total()

    async def verify(self, token: Token) -> Verdict:
        self.calls[token.text] += 1
        bad = token.text in self.refused or token.text.startswith("bad")
        return Verdict(active=not bad, subject=None if bad else "reader")


class Replica:
    """One gate without its HTTP: all that decides, with a memory and a journal of its own."""

    def __init__(
        self, url: str, state_dir: Path, clock: FakeClock, api: Api, **options: Any
    ) -> None:
        self.clock = clock
        self.journal = Journal(state_dir / "revocations")
        self.revocations = Revocations(
            self.journal, lifetime=3600, wall=clock.wall, monotonic=clock.monotonic
        )
        self.readiness = Readiness()
        self.cache = VerdictCache(
            ttl=TTL,
            negative_ttl=5,
            max_entries=1000,
            refresh_ahead=0.8,
            clock=clock.monotonic,
            wall=clock.wall,
        )
        given = {"keys": KEYS, "pace": PACE, "clear": self.cache.clear, "wall": clock.wall}
        self.tier = SharedTier(
            url,
            ttl=TTL,
            refresh_ahead=0.8,
            revocations=self.revocations,
            readiness=self.readiness,
            **{**given, **options},
        )
        self.revocations.announcer = self.tier
        settings = SessionSettings(idle_timeout=1800, lifetime=3600)
        self.seal = SessionSeal(settings, [bytes(32)], clock.wall)
        self.access = Access(
            seal=self.seal,
            cache=self.cache,
            verifier=api,
            revocations=self.revocations,
            secret=bytes(32),
            fingerprint=b"",
            recheck=True,
            clocks=Clocks(clock.monotonic, clock.wall),
            shared=self.tier,
        )

    def session(self, token: Token = TOKEN) -> Session:
        return self.seal.new(token, expires=None, subject=None)

    async def of(self, token: str = TOKEN.text) -> Outcome:
        """What a Bearer token gets here."""
        return (await self.access.decide(None, bearer=Token(token))).outcome

    async def of_session(self, session: Session) -> Outcome:
        return (await self.access.decide(session)).outcome

    def key(self, token: Token = TOKEN) -> bytes:
        return self.access._key(token)

    @property
    def up(self) -> bool:
        return self.tier.statistics().up


StartReplica = Callable[..., Any]


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server() as running:
        yield running


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def start(
    server: RedisServer, clock: FakeClock, api: Api, tmp_path: Path
) -> AsyncIterator[StartReplica]:
    """Start a replica: `await start()`. Its own clock and URL can be given."""
    async with AsyncExitStack() as stack:
        number = iter(range(100))

        async def one(url: str = server.url, clock: FakeClock = clock, **options: Any) -> Replica:
            state_dir = options.pop("state_dir", tmp_path / str(next(number)))
            replica = await asyncio.to_thread(Replica, url, state_dir, clock, api, **options)
            stack.callback(replica.journal.close)
            await stack.enter_async_context(replica.tier)
            return replica

        yield one


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that happens by itself; no longer than anybody would."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event to set
            await asyncio.sleep(0.005)


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.fixture(autouse=True)
def all_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


# Verdicts


async def test_two_replicas_ask_once(start: StartReplica, api: Api) -> None:
    a, b = await start(), await start()
    assert [await a.of(), await b.of(), await a.of(), await b.of()] == [ALLOWED] * 4
    assert api.count == 1
    assert b.tier.statistics().hits == 1


async def test_a_shared_verdict_keeps_its_time(
    start: StartReplica, api: Api, clock: FakeClock
) -> None:
    a, b = await start(), await start()
    await a.of()
    asked = clock.wall()
    clock.advance(200)
    await b.of()
    shared = await b.tier.get(b.key())
    assert shared is not None
    assert (shared.asked, shared.subject) == (asked, "reader")
    clock.advance(100)
    api.refused.add(TOKEN.text)
    assert await b.of() is REFUSED  # remembered here for 100 s, but 300 s old


async def test_a_refresh_ahead_is_not_given_what_it_is_to_renew(
    start: StartReplica, api: Api, clock: FakeClock
) -> None:
    a = await start()
    await a.of()
    clock.advance(TTL * 0.8)
    assert await a.of() is ALLOWED
    await until(lambda: api.count == 2)


async def test_a_refresh_on_one_replica_is_one_for_all(
    start: StartReplica, api: Api, clock: FakeClock
) -> None:
    a, b = await start(), await start()
    await a.of()
    await b.of()
    clock.advance(TTL * 0.8)
    await a.of()
    await until(lambda: a.cache.statistics().flights == 0)
    await b.of()
    await until(lambda: b.cache.statistics().flights == 0)
    assert api.count == 2
    assert b.tier.statistics().hits == 2


async def test_refusals_are_not_shared(start: StartReplica, api: Api, server: RedisServer) -> None:
    a, b = await start(), await start()
    assert [await a.of("bad"), await b.of("bad")] == [REFUSED] * 2
    assert api.count == 2
    assert not any(b"verdict" in name for name in await server.contents())


async def test_a_no_takes_the_old_yes_away(start: StartReplica, clock: FakeClock) -> None:
    a, b = await start(), await start()
    await a.of()
    assert await b.tier.get(b.key()) is not None
    await b.tier.put(b.key(), Verdict(active=False, asked=clock.wall()))
    assert await a.tier.get(a.key()) is None


async def test_near_identical_tokens_are_judged_alone(start: StartReplica, api: Api) -> None:
    a, b = await start(), await start()
    await a.of("token")
    others = [f"token{tail}" for tail in ("x", "=", "==", ".", "_", "~", "/", "+", "-")]
    others += [f"{head}token" for head in "aTt.-_~+/0"] + ["Token", "TOKEN", "toke", "oken"]
    others += [f"token{number}" for number in range(50 - len(others))]
    api.refused.update(others)
    outcomes = await asyncio.gather(*(each.of(other) for other in others for each in (a, b)))
    assert set(outcomes) == {REFUSED}
    assert [api.calls[other] for other in others] == [2] * 50
    assert await b.of("token") is ALLOWED
    assert api.calls["token"] == 1


async def test_the_server_forgets_by_itself(
    start: StartReplica, server: RedisServer, clock: FakeClock
) -> None:
    a = await start()
    await a.of()
    (name,) = [name for name in await server.contents() if b"verdict" in name]
    assert 0 < await server.do("PTTL", name) <= TTL * 1000
    await a.tier.put(a.key(), Verdict(True, expires=clock.wall() + 7, asked=clock.wall()))
    assert 0 < await server.do("PTTL", name) <= 7000
    await a.tier.put(b"old", Verdict(True, asked=clock.wall() - TTL))
    assert await server.do("DBSIZE") == 2  # that verdict and the probe
    await a.revocations.end("session", "x")
    (revoked,) = [name for name in await server.contents() if b"revocation" in name]
    assert 3_500_000 < await server.do("PTTL", revoked) <= 3_600_000


async def test_nothing_on_the_server_can_be_read(start: StartReplica, server: RedisServer) -> None:
    a = await start()
    await a.of()
    await a.revocations.end("subject", fingerprint_of_subject("reader"))
    await a.revocations.end("token", TOKEN.fingerprint)
    everything = repr(await server.contents()) + repr(await server.do("KEYS", "*"))
    for secret in ("reader", TOKEN.text, TOKEN.fingerprint, fingerprint_of_subject("reader")):
        assert secret not in everything


# A server that lies


def forgeries(clock: FakeClock, key: bytes) -> dict[str, bytes]:
    """Values that are no yes for this key, whoever wrote them."""
    yes = Verdict(True, subject="reader", asked=clock.wall())
    ours, theirs = Envelope(KEYS), Envelope([bytes(32)])
    sealed = ours.seal_verdict(key, yes)
    return {
        "a bare yes": b"true",
        "JSON": b'{"active": true, "asked": 1e99}',
        "not UTF-8": b"\xff\xfe",
        "huge": b"A" * 1_000_000,
        "sealed with another key": theirs.seal_verdict(key, yes),
        "sealed for another cache key": ours.seal_verdict(key[::-1], yes),
        "cut off": sealed[:-1],
        "changed": sealed[:-2] + b"AA",
        "a revocation": ours.seal_nudge(),
        "too old": ours.seal_verdict(key, replace(yes, asked=yes.asked - TTL)),
        "from the future": ours.seal_verdict(key, replace(yes, asked=yes.asked + 61)),
        "past its end": ours.seal_verdict(key, replace(yes, expires=clock.wall())),
        "without a time": ours.seal_verdict(key, replace(yes, asked=float("nan"))),
    }


@pytest.mark.parametrize("which", forgeries(FakeClock(), b"key"))
async def test_no_yes_can_be_planted(
    start: StartReplica, server: RedisServer, api: Api, clock: FakeClock, which: str
) -> None:
    a = await start()
    api.refused.add(TOKEN.text)
    name = b"docs-gate:1:verdict:" + a.key().hex().encode()
    await server.do("SET", name, forgeries(clock, a.key())[which])
    assert await a.of() is REFUSED
    assert api.count == 1
    assert a.up


async def test_what_is_no_text_at_all_is_no_yes(
    start: StartReplica, server: RedisServer, api: Api
) -> None:
    a = await start()
    api.refused.add(TOKEN.text)
    await server.do("RPUSH", b"docs-gate:1:verdict:" + a.key().hex().encode(), "true")
    assert await a.of() is REFUSED


async def test_a_value_that_was_moved_does_not_open(
    start: StartReplica, server: RedisServer, api: Api
) -> None:
    a, b = await start(), await start()
    await a.of("good")
    prefix = b"docs-gate:1:verdict:"
    good, bad = (prefix + a.key(Token(text)).hex().encode() for text in ("good", "bad"))
    await server.do("COPY", good, bad)
    assert [await b.of("good"), await b.of("bad")] == [ALLOWED, REFUSED]


async def test_an_old_value_that_is_brought_back_is_too_old(
    start: StartReplica, server: RedisServer, api: Api, clock: FakeClock
) -> None:
    a, b = await start(), await start()
    await a.of()
    (name, value) = next(item for item in (await server.contents()).items() if b"verd" in item[0])
    api.refused.add(TOKEN.text)
    clock.advance(TTL)
    await server.do("SET", name, value)
    assert await b.of() is REFUSED


async def test_an_old_value_does_not_survive_a_revocation(
    start: StartReplica, server: RedisServer, api: Api
) -> None:
    a, b = await start(), await start()
    await a.of()
    saved = await server.contents()
    await a.revocations.end("subject", fingerprint_of_subject("reader"))
    await until(lambda: b.tier.statistics().learned)
    for name, value in saved.items():
        await server.do("SET", name, value)
    api.refused.add(TOKEN.text)
    assert await b.of() is not ALLOWED
    assert api.count == 2


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1\r\n" * 5000, b"$-5\r\n", b"+OK\r\n" * 100, b""],
    ids=["HTTP", "nested", "malformed", "yes to all", "nothing"],
)
async def test_a_server_that_speaks_something_else_is_no_server(
    start: StartReplica, api: Api, answer: bytes
) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read(65536)
        writer.close()

    other = await asyncio.start_server(speak, "127.0.0.1")
    port = other.sockets[0].getsockname()[1]
    a = await start(url=f"redis://127.0.0.1:{port}", pace=HASTY)
    assert [await a.of(), await a.of("bad")] == [ALLOWED, REFUSED]
    assert not a.up
    other.close()


# Revocations


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("session", ""),
        ("token", TOKEN.fingerprint),
        ("subject", fingerprint_of_subject("reader")),
        ("everything", ""),
    ],
)
async def test_revoked_here_refused_there(
    start: StartReplica, clock: FakeClock, kind: Kind, what: str
) -> None:
    a, b = await start(), await start()
    session = a.session()
    assert [await a.of_session(session), await b.of_session(session)] == [ALLOWED] * 2
    await a.revocations.end(kind, what or (session.id if kind == "session" else ""))
    assert await a.of_session(session) is EXPIRED
    await until(lambda: b.tier.statistics().learned)
    clock.advance(1)
    assert await b.of_session(session) is EXPIRED


async def test_only_what_ends_verdicts_drops_them(start: StartReplica, api: Api) -> None:
    a, b = await start(), await start()
    await b.of()
    await a.revocations.end("session", "other")
    await until(lambda: b.tier.statistics().learned)
    assert b.cache.statistics().size == 1
    await a.revocations.end("token", Token("other").fingerprint)
    await until(lambda: b.tier.statistics().learned == 2)
    assert b.cache.statistics().size == 0
    assert a.tier.statistics().learned == 0  # its own news is no news


async def test_a_replica_that_starts_knows_what_was_revoked(
    start: StartReplica, server: RedisServer
) -> None:
    a = await start()
    session = a.session()
    for number in range(450):  # more than a batch
        await a.tier.announce(revoked(a, session.id if number == 449 else str(number)))
    c = await start()
    assert c.tier.statistics().learned == 450
    assert await c.of_session(session) is EXPIRED


async def test_news_that_got_lost_is_read_later(start: StartReplica, server: RedisServer) -> None:
    a = await start()
    b = await start(pace=replace(PACE, reload=0.05))
    session = b.session()
    await b.of_session(session)
    for what in (session.id, "other"):
        await unheard(server, revoked(a, what))
    await unheard(server, revoked(a, Token("other").fingerprint, "token"))
    await until(lambda: b.tier.statistics().learned == 3)
    assert await b.of_session(session) is EXPIRED
    assert b.cache.statistics().size == 0


async def test_strangers_on_the_same_server_do_no_harm(
    start: StartReplica, server: RedisServer
) -> None:
    other = Envelope([bytes(32)])
    await server.do("ZADD", "docs-gate:1:revocations", 9e9, "theirs", 9e9, "lost")
    b = await start(pace=replace(PACE, reload=0.05))
    await server.do("SET", "docs-gate:1:revocation:theirs", other.seal_nudge())
    a = await start(keys=[bytes(32)])
    await a.revocations.end("session", "x")
    for message in (b"", b"x", other.seal_nudge(), b"\xff" * 5000):
        await server.do("PUBLISH", "docs-gate:1:news", message)
    await start()
    await b.revocations.end("session", "y")
    assert b.tier.statistics().learned == a.tier.statistics().learned == 0
    assert a.up
    assert b.up


async def test_revocations_outlive_the_key_they_were_sealed_with(start: StartReplica) -> None:
    old, new = KEYS
    a = await start(keys=[old])
    session = a.session()
    await a.revocations.end("session", session.id)
    await start(keys=[new, old])
    c = await start(keys=[new])
    assert await c.of_session(session) is EXPIRED


async def test_revocations_run_out(
    start: StartReplica, server: RedisServer, clock: FakeClock
) -> None:
    a = await start()
    await a.revocations.end("session", "x")
    clock.advance(3600 + 61)
    b = await start()
    assert b.tier.statistics().learned == 0
    assert await server.do("EXISTS", "docs-gate:1:revocations") == 0
    over = replace(revoked(a, "y"), until=clock.wall())
    await unheard(server, over)
    assert (await start()).tier.statistics().learned == 0


async def test_what_was_revoked_before_there_was_a_server_is_told(
    start: StartReplica, tmp_path: Path, clock: FakeClock
) -> None:
    def earlier() -> None:
        with closing(Journal(tmp_path / "old" / "revocations")) as journal:
            journal.append(Revocation("session", "x", clock.wall(), clock.wall() + 60).line())

    await asyncio.to_thread(earlier)
    b = await start()
    await start(state_dir=tmp_path / "old")
    await until(lambda: b.revocations.ends_session("x"))


def revoked(replica: Replica, what: str, kind: Kind = "session") -> Revocation:
    now = replica.clock.wall()
    return Revocation(kind, what, now, now + 3600)


async def unheard(server: RedisServer, revocation: Revocation) -> None:
    """Write a revocation as another replica does, without a word on the channel."""
    envelope = Envelope(KEYS)
    name = envelope.name(revocation)
    sealed = envelope.seal_revocation(revocation)
    await server.do("SET", b"docs-gate:1:revocation:" + name, sealed)
    await server.do("ZADD", "docs-gate:1:revocations", revocation.until, name)


# A server that fails


async def test_a_server_that_is_killed_under_load_opens_nothing(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = await start(), await start()
    session = a.session()
    await a.revocations.end("session", session.id)
    await until(lambda: b.tier.statistics().learned)
    done: Counter[str] = Counter()
    stop = asyncio.Event()

    async def load(replica: Replica, name: str) -> None:
        while not stop.is_set():
            number = done[name] = done[name] + 1
            assert await replica.of(f"good-{number}") is ALLOWED
            assert await replica.of(f"bad-{number}") is REFUSED
            assert await replica.of_session(session) is EXPIRED
            await asyncio.sleep(0)

    async def more() -> None:
        before = done.copy()
        await until(lambda: all(done[name] > before[name] + 20 for name in "ab"))

    async with asyncio.TaskGroup() as group:
        group.create_task(load(a, "a"))
        group.create_task(load(b, "b"))
        await more()
        await server.kill()
        await until(lambda: not a.up and not b.up)
        await more()
        await server.start()
        await until(lambda: a.up and b.up)
        await more()
        stop.set()
    assert [len(said(caplog, level)) for level in (logging.WARNING, logging.INFO)] == [2, 2]
    fresh = await start()
    assert await fresh.of_session(session) is EXPIRED


async def test_a_server_that_hangs_costs_one_call(
    start: StartReplica, server: RedisServer, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    a = await start(pace=HASTY)
    await a.of()
    server.pause()
    outcomes = [await a.of(f"token-{number}") for number in range(50)]
    assert set(outcomes) == {ALLOWED}
    assert a.tier.statistics().errors == 1
    assert await a.of() is ALLOWED  # from memory
    assert api.count == 51
    with pytest.raises(RevocationProblem):
        await a.revocations.end("session", "x")
    await until(lambda: not a.up)
    server.resume()
    await until(lambda: a.up)
    assert a.readiness.problem is None
    assert a.cache.statistics().size == 0
    await a.of("shared")
    assert any(b"verdict" in name for name in await server.contents())
    assert len(said(caplog, logging.INFO)) == 1


async def test_one_slow_answer_is_no_reason_to_give_up(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    a = await start(pace=replace(PACE, call=0.5, beat=60))
    await a.of()
    server.pause()
    await a.of("other")
    server.resume()
    await until(lambda: a.tier.statistics().errors == 1)
    await until(lambda: not a.tier._suspected)
    assert a.up
    assert a.cache.statistics().size == 2
    assert not said(caplog, logging.WARNING)


async def test_a_server_that_is_always_slow_is_not_used(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with BadLine(server) as line:
        a = await start(url=line.url, pace=replace(PACE, call=0.5))
        line.delay = 0.7
        for number in range(3):
            assert await a.of(f"token-{number}") is ALLOWED
            await until(lambda: not (a.up and a.tier._suspected))
        await until(lambda: not a.up)
        assert a.tier.statistics().errors == 3
        assert [await a.of("more"), await a.of("bad")] == [ALLOWED, REFUSED]
        assert len(said(caplog, logging.WARNING)) == 1
        line.delay = 0
        await until(lambda: a.up)


async def test_a_flushed_server_is_told_again(start: StartReplica, server: RedisServer) -> None:
    a, b = await start(), await start()
    session = a.session()
    await a.of()
    await a.revocations.end("session", session.id)
    await until(lambda: b.tier.statistics().learned)
    await server.do("FLUSHALL")
    assert [await a.of(), await b.of(), await b.of("bad")] == [ALLOWED, ALLOWED, REFUSED]
    await until_known(server, a)
    c = await start()
    assert await c.of_session(session) is EXPIRED


async def test_a_value_that_was_evicted_is_written_again(
    start: StartReplica, server: RedisServer
) -> None:
    a = await start(pace=replace(PACE, reload=0.05))
    await a.revocations.end("session", "x")
    await until_known(server, a)
    await until(lambda: a.tier._bulletin._read)
    await server.do("DEL", *[name for name in await server.contents() if b"revocation:" in name])
    await start()  # finds a name without a value
    await until_known(server, a)


async def until_known(server: RedisServer, replica: Replica) -> None:
    """Wait until the server has everything that the replica holds."""
    async with asyncio.timeout(30):
        while True:
            names = [name for name in await server.contents() if b"revocation:" in name]
            held = len(replica.revocations.holding())
            if len(names) == held == await server.do("ZCARD", "docs-gate:1:revocations"):
                return
            await asyncio.sleep(0.01)


async def test_a_server_that_was_replaced_by_an_empty_one_is_told_again(
    start: StartReplica, server: RedisServer
) -> None:
    a, b = await start(), await start()
    session = a.session()
    await a.revocations.end("session", session.id)
    await until(lambda: b.tier.statistics().learned)
    await server.kill()
    await server.start()
    await until_known(server, b)
    c = await start()
    assert await c.of_session(session) is EXPIRED


FAILING = {
    "a read-only replica": (["REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"]),
    "no right to write": (["ACL SETUSER default -@write"], ["ACL SETUSER default +@all"]),
    "no right to read": (["ACL SETUSER default -getrange"], ["ACL SETUSER default +@all"]),
    "no memory left": (["CONFIG SET maxmemory 1"], ["CONFIG SET maxmemory 0"]),
}


@pytest.mark.parametrize("how", FAILING)
async def test_a_server_that_cannot_be_written_is_not_used(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    a, b = await start(), await start()
    session = a.session()
    await server.do("ACL", "SETUSER", "admin", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    for command in FAILING[how][0]:
        await server.do_as("admin", *command.split())
    await a.of("first")  # may be what finds out
    await until(lambda: not a.up and not b.up)
    assert [await a.of(), await b.of(), await b.of("bad")] == [ALLOWED, ALLOWED, REFUSED]
    with pytest.raises(RevocationProblem):
        await a.revocations.end("session", session.id)
    assert await a.of_session(session) is EXPIRED
    assert a.readiness.problem == "a revocation waits for the shared server"
    assert len(said(caplog, logging.WARNING)) == 2
    for command in FAILING[how][1]:
        await server.do_as("admin", *command.split())
    await until(lambda: a.up and b.up)
    await until(lambda: b.tier.statistics().learned)
    assert await b.of_session(session) is EXPIRED
    await until(lambda: a.readiness.problem is None)
    assert len(said(caplog, logging.INFO)) == 2


async def test_news_that_could_not_be_sent_is_sent_later(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = await start(), await start()
    await server.do("ACL", "SETUSER", "default", "-publish")
    with pytest.raises(RevocationProblem):
        await a.revocations.end("session", "x")
    assert a.readiness.problem == "a revocation waits for the shared server"
    assert "NoPermissionError" in said(caplog, logging.WARNING)[0]
    await until(lambda: not a.up)
    assert not b.revocations.ends_session("x")
    await server.do("ACL", "SETUSER", "default", "+publish")
    await until(lambda: b.revocations.ends_session("x"))
    await until(lambda: a.up and a.readiness.problem is None)


async def test_while_cut_off_a_replica_goes_on_and_then_learns_before_anything_else(
    start: StartReplica, server: RedisServer, clock: FakeClock
) -> None:
    async def user(*rules: str) -> None:
        await server.do("ACL", "SETUSER", "b", *rules)

    found: list[tuple[bool, bool]] = []

    def clear() -> None:
        found.append((bool(b) and b[0].revocations.ends_session(session.id), bool(b) and b[0].up))
        for each in b:
            each.cache.clear()

    await user("on", f">{PASSWORD}", "~*", "&*", "+@all")
    a = await start()
    session = a.session()
    b: list[Replica] = []
    b.append(await start(url=server.url.replace("//:", "//b:"), clear=clear))
    assert await b[0].of_session(session) is ALLOWED
    await user("off")
    await server.do("CLIENT", "KILL", "USER", "b")
    await until(lambda: not b[0].up)
    await a.revocations.end("session", session.id)
    assert await b[0].of_session(session) is ALLOWED  # from memory: it cannot know
    await user("on")
    await until(lambda: b[0].up)
    remembered = b[0].access.recall(session)
    assert remembered is not None
    assert remembered.outcome is EXPIRED
    assert found == [(False, False), (True, False)]  # once at the start, once before the new link
    assert b[0].cache.statistics().size == 0


async def test_a_connection_that_died_without_a_sound_is_noticed(
    start: StartReplica, server: RedisServer
) -> None:
    async with BadLine(server) as line:
        a, b = await start(), await start(url=line.url, pace=HASTY)
        session = a.session()
        line.deaf = True
        await a.revocations.end("session", session.id)
        await until(lambda: not b.up)
        assert not b.revocations.ends_session(session.id)
        line.deaf = False
        await until(lambda: b.up)
        assert b.revocations.ends_session(session.id)


async def test_without_a_server_at_the_start_it_works_and_is_not_ready(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    a = await start()
    session = a.session()
    await a.revocations.end("session", session.id)
    await server.kill()
    b = await start()
    assert [await b.of(), await b.of("bad")] == [ALLOWED, REFUSED]
    assert b.readiness.problem == "what was revoked elsewhere is not known yet"
    await server.start()
    await until(lambda: b.up and b.revocations.ends_session(session.id))
    await until(lambda: b.readiness.problem is None)
    assert len(said(caplog, logging.WARNING)) == 2  # one of each replica


async def test_a_gate_that_stops_lets_go_of_everything(
    start: StartReplica, server: RedisServer
) -> None:
    a = await start()
    await a.of()
    await a.tier.__aexit__()
    assert await a.of("other") is ALLOWED
    with pytest.raises(RevocationProblem):
        await a.revocations.end("session", "x")
    assert len((await server.do("CLIENT", "LIST")).splitlines()) == 1  # who asks


async def test_connections_are_bounded(start: StartReplica, server: RedisServer) -> None:
    a = await start(max_connections=2)
    await a.of()
    found = await asyncio.gather(*(a.tier.get(a.key()) for _ in range(200)))
    assert all(found)
    assert len((await server.do("CLIENT", "LIST")).splitlines()) <= 2 + 1 + 1


async def test_the_rights_that_the_handbook_names_are_enough(
    start: StartReplica, server: RedisServer
) -> None:
    handbook = await asyncio.to_thread((ROOT / "docs" / "operating.md").read_text, "utf-8")
    (rule,) = (line for line in handbook.splitlines() if line.startswith("ACL SETUSER gate"))
    await server.do(*rule.replace(">password", f">{PASSWORD}").split())
    url = f"redis://gate:{URL_PASSWORD}@127.0.0.1:{server.port}/1"
    a, b = await start(url=url), await start(url=url, pace=replace(PACE, reload=0.05))
    session = a.session()
    assert [await a.of(), await b.of()] == [ALLOWED] * 2
    assert b.tier.statistics().hits == 1
    await a.tier.put(a.key(), Verdict(active=False))
    assert await a.tier.get(a.key()) is None
    await a.revocations.end("session", session.id)
    await until(lambda: b.revocations.ends_session(session.id))
    await server.do("FLUSHALL")
    c = await start(url=url)
    await until(lambda: c.revocations.ends_session(session.id))
    assert all(each.up and not each.tier.statistics().errors for each in (a, b, c))


# The URL


async def test_a_database_and_a_socket_by_url(start: StartReplica, server: RedisServer) -> None:
    a = await start(url=f"unix://:{URL_PASSWORD}@{server.socket}?db=3")
    b = await start(url=server.url[:-1] + "3")
    c = await start()
    assert [await a.of(), await b.of(), await c.of()] == [ALLOWED] * 3
    assert [each.tier.statistics().hits for each in (a, b, c)] == [0, 1, 0]


async def test_tls_by_url(
    start: StartReplica, api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = await asyncio.to_thread(make_certificate, tmp_path)
    port = free_port()
    files = [f"--tls-{what}-file" for what in ("cert", "key", "ca-cert")]
    options = [part for name in files for part in (name, str(certificate))]
    async with redis_server("--tls-port", str(port), "--tls-auth-clients", "no", *options):
        url = f"rediss://:{URL_PASSWORD}@localhost:{port}"
        a, b = [await start(url=f"{url}?ssl_ca_certs={certificate}") for _ in "ab"]
        assert [await a.of(), await b.of()] == [ALLOWED] * 2
        assert api.count == 1
        stranger = await start(url=url)
        assert stranger.tier.problem == "its certificate is not trusted"
        elsewhere = await start(
            url=f"{url.replace('localhost', '127.0.0.1')}?ssl_ca_certs={certificate}"
        )
        assert elsewhere.tier.problem == "its certificate is not trusted"


@pytest.mark.parametrize("user", ["", "nobody"])
async def test_the_password_is_never_said(
    start: StartReplica, server: RedisServer, caplog: pytest.LogCaptureFixture, user: str
) -> None:
    wrong = "-".join(("wrong", "secret"))  # tracebacks show these lines
    a = await start(url=f"redis://{user}:{wrong}@127.0.0.1:{server.port}")
    assert a.tier.problem == "AuthenticationError"
    with pytest.raises(OSError, match="AuthenticationError") as raised:
        await a.tier.announce(revoked(a, "x"))
    assert await a.of() is ALLOWED
    assert "gone" in caplog.text
    said = [caplog.text, repr(a.tier), *traceback.format_exception(raised.value)]
    assert wrong not in "".join(said)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://:secret@127.0.0.1:6379/2",
        "rediss://user:s%40cret@redis.example.com?ssl_ca_certs=/etc/ca.pem",
        "redis://[::1]:6379",
        "unix:///run/redis.sock?db=1",
        "unix://:secret@/run/redis.sock",
    ],
)
def test_a_good_url(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("localhost:6379", "must begin"),
        ("http://:secret@127.0.0.1", "must begin"),
        ("redis://", "must name a host"),
        ("redis://:secret@", "must name a host"),
        ("unix://", "must name the path"),
        ("redis://:sec/ret@127.0.0.1", "is no URL"),
        ("redis://:secret@127.0.0.1:99999", "is no URL"),
        ("redis://[::1", "is no URL"),
        ("redis://user:sec#ret@127.0.0.1", "is no URL"),
        ("redis://127.0.0.1/0#secret", "has a #"),
        ("redis://127.0.0.1/secret", "may have a number"),
        ("redis://127.0.0.1?password=secret", "behind its ?"),
        ("redis://127.0.0.1?socket_timeout=0", "behind its ?"),
        ("rediss://127.0.0.1?ssl_cert_reqs=none", "behind its ?"),
        ("redis://127.0.0.1?db=secret", "number as db"),
    ],
)
def test_a_url_that_cannot_work_is_named_and_not_shown(url: str, problem: str) -> None:
    found = url_problem(url)
    assert found is not None
    assert problem in found
    assert "secret" not in found
    with pytest.raises(ValueError, match="the URL of the shared server") as raised:
        Linker(url, PACE)
    assert "secret" not in str(raised.value)
