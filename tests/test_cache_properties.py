"""The verdict cache in every interleaving: one flight a key, nothing past its end or bounds."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gate.cache import Verdict, VerdictCache
from tests.fakes import FakeClock

TTL, NEGATIVE_TTL, GRACE, BOUND = 100.0, 5.0, 50.0, 3
KEYS = [b"%d" % number for number in range(6)]

keys = st.sampled_from(KEYS)
seconds = st.sampled_from([0.1, 4.9, 5.0, 79.9, 80.0, 99.9, 100.0, 150.0])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), keys),
        st.tuples(st.just("look"), keys),
        st.tuples(st.just("leave"), keys),
        st.tuples(st.just("yes"), keys, st.none() | seconds),
        st.tuples(st.just("no"), keys),
        st.tuples(st.just("fail"), keys),
        st.tuples(st.just("pass"), seconds),
        st.tuples(st.just("jump"), st.sampled_from([-3600.0, 86_400.0])),
    ),
    max_size=60,
)


@dataclass
class Told:
    """What the API last said about a key, and when it was asked."""

    verdict: Verdict
    ticks: float
    active: bool


@dataclass
class Model:
    """Drives a cache and holds it to its word."""

    clock: FakeClock = field(default_factory=FakeClock)
    flying: dict[bytes, asyncio.Future[Verdict]] = field(default_factory=dict)
    waiting: dict[bytes, list[asyncio.Task[Verdict]]] = field(default_factory=dict)
    told: dict[bytes, Told] = field(default_factory=dict)
    calls: Counter[bytes] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.cache = VerdictCache(
            ttl=TTL,
            negative_ttl=NEGATIVE_TTL,
            max_entries=BOUND,
            refresh_ahead=0.8,
            stale_if_error=GRACE,
            clock=self.clock.monotonic,
            wall=self.clock.wall,
        )

    async def ask(self, key: bytes) -> Verdict:
        assert key not in self.flying, "two flights for one key"
        answer = self.flying[key] = asyncio.get_running_loop().create_future()
        asked = self.clock.ticks
        try:
            verdict: Verdict = await answer
        finally:
            del self.flying[key]
        active = verdict.good_at(self.clock.unix)
        self.told[key] = Told(verdict, asked, active)
        return verdict

    async def step(self, what: str, *rest: object) -> None:
        match what, *rest:
            case "wait", bytes(key):
                task = asyncio.create_task(self.cache.verdict(key, lambda: self.ask(key)))
                self.waiting.setdefault(key, []).append(task)
            case "look", bytes(key):
                self.check(key, self.cache.get(key, lambda: self.ask(key)))
            case "leave", bytes(key):
                for task in self.waiting.pop(key, [])[:1]:
                    task.cancel()
            case "yes", bytes(key), None | float() as left:
                expires = None if left is None else self.clock.unix + float(left)
                self.answer(key, Verdict(active=True, expires=expires))
            case "no", bytes(key):
                self.answer(key, Verdict(active=False))
            case "fail", bytes(key):
                if key in self.flying:
                    self.flying[key].set_exception(RuntimeError("cannot say"))
            case "pass", float(passed):
                self.clock.advance(passed)
            case "jump", float(jumped):
                self.clock.unix += jumped
        for _ in range(4):
            await asyncio.sleep(0)
        statistics = self.cache.statistics()
        assert statistics.size <= BOUND
        assert statistics.refusals <= BOUND
        assert statistics.flights == len(self.flying)

    def answer(self, key: bytes, verdict: Verdict) -> None:
        if key in self.flying and not self.flying[key].done():
            self.flying[key].set_result(verdict)

    def check(self, key: bytes, seen: Verdict | None) -> None:
        if seen is None:
            return
        told = self.told[key]
        assert seen.active is told.active, "not the last word"
        limit = TTL if told.active else NEGATIVE_TTL
        assert self.clock.ticks - told.ticks < limit, "older than it may be"
        if seen.active:
            assert seen.expires is None or self.clock.unix < seen.expires, "past its own expiry"

    def check_stale(self) -> None:
        for key in KEYS:
            stale = self.cache.stale(key)
            if stale is not None:
                told = self.told[key]
                assert told.active
                assert self.clock.ticks - told.ticks < TTL + GRACE
                assert stale.expires is None or self.clock.unix < stale.expires

    async def finish(self) -> None:
        for answer in self.flying.values():
            if not answer.done():
                answer.set_result(Verdict(active=True))
        tasks = [task for group in self.waiting.values() for task in group]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.cache.settled()


@given(steps)
def test_whatever_the_interleaving(sequence: list[tuple[object, ...]]) -> None:
    async def run() -> None:
        model = Model()
        for what, *rest in sequence:
            await model.step(str(what), *rest)
            model.check_stale()
        await model.finish()

    asyncio.run(run())
