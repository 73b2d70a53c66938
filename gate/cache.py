"""The verdict cache: bounded, expiring, one flight per key.

It knows neither tokens nor HTTP: a key is some bytes that stand for a token, and whoever wants a
verdict brings the way to ask for it. Times are seconds; entries age by a monotonic clock, and the
verdict's own expiry is held against the wall clock at every look.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

Clock = Callable[[], float]

JITTER = 0.1
"""Verdicts live up to this share of `ttl` less: asked together, they do not end together."""

REFUSALS = 10_000
"""Refusals have a bound of their own, so that a flood of bad tokens evicts no good verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verify API's answer about one token (names of RFC 7662)."""

    active: bool
    subject: str | None = None
    expires: float | None = None
    """Unix time in seconds; None means that the API named no end."""
    session_expires: float | None = None
    """Where `[session] expires` points: Unix time in seconds."""

    def good_at(self, wall: float) -> bool:
        """Whether it is a yes that has not run out."""
        return self.active and (self.expires is None or wall < self.expires)


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Counts since the start, and sizes now."""

    hits: int
    misses: int
    evictions: int
    size: int
    refusals: int
    flights: int


class VerdictCache:
    """Verdicts by key. `ttl` and `negative_ttl` are seconds, `max_entries` bounds the good ones."""

    def __init__(
        self,
        *,
        ttl: float,
        negative_ttl: float,
        max_entries: int,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._wall = wall
        self._uniform = uniform
        self._good = _Shelf(max_entries)
        self._refused = _Shelf(min(REFUSALS, max_entries))
        self._flights: dict[bytes, asyncio.Task[Verdict]] = {}
        self._hits = 0
        self._misses = 0

    def get(self, key: bytes) -> Verdict | None:
        """The remembered verdict while it may be used, else None. Never waits."""
        now = self._clock()
        verdict = self._good.get(key, now)
        if verdict is not None and not verdict.good_at(self._wall()):
            self._good.drop(key)
            verdict = None
        if verdict is None:
            verdict = self._refused.get(key, now)
        if verdict is not None:
            self._hits += 1
        return verdict

    async def verdict(self, key: bytes, ask: Callable[[], Awaitable[Verdict]]) -> Verdict:
        """The remembered verdict, or the answer of one flight that all who wait for this key share.

        Whatever `ask` raises is raised to every waiter and remembered by nobody. A waiter that is
        cancelled leaves the flight to the others.
        """
        remembered = self.get(key)
        if remembered is not None:
            return remembered
        flight = self._flights.get(key)
        if flight is None:
            self._misses += 1
            flight = asyncio.get_running_loop().create_task(self._fly(key, ask))
            flight.add_done_callback(_retrieved)
            self._flights[key] = flight
        return await asyncio.shield(flight)

    async def _fly(self, key: bytes, ask: Callable[[], Awaitable[Verdict]]) -> Verdict:
        try:
            verdict = await ask()
            if not verdict.good_at(self._wall()):
                verdict = replace(verdict, active=False)
            self._remember(key, verdict)
            return verdict
        finally:
            del self._flights[key]

    def _remember(self, key: bytes, verdict: Verdict) -> None:
        now, wall = self._clock(), self._wall()
        if not verdict.active:
            self._good.drop(key)
            self._refused.put(key, verdict, now + self._negative_ttl)
            return
        seconds = self._ttl * (1 - JITTER * self._uniform())
        if verdict.expires is not None:
            seconds = min(seconds, verdict.expires - wall)
        self._refused.drop(key)
        self._good.put(key, verdict, now + seconds)

    def statistics(self) -> CacheStatistics:
        """For whoever keeps metrics."""
        return CacheStatistics(
            hits=self._hits,
            misses=self._misses,
            evictions=self._good.evictions,
            size=len(self._good),
            refusals=len(self._refused),
            flights=len(self._flights),
        )


def _retrieved(flight: asyncio.Task[Verdict]) -> None:
    # a flight whose waiters all went away may fail unheard; asyncio would complain
    if not flight.cancelled():
        flight.exception()


class _Shelf:
    """Verdicts with a deadline each; when full, the one used longest ago goes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, tuple[float, Verdict]] = OrderedDict()
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Verdict | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now >= entry[0]:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: bytes, verdict: Verdict, deadline: float) -> None:
        self._entries[key] = (deadline, verdict)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
            self.evictions += 1

    def drop(self, key: bytes) -> None:
        self._entries.pop(key, None)
