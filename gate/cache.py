"""The verdict cache: bounded, expiring, one flight per key.

It knows neither tokens nor HTTP: a key is some bytes that stand for a token, and whoever wants a
verdict brings the way to ask for it. Times are seconds; entries age by a monotonic clock, and the
verdict's own expiry is held against the wall clock at every look.
"""

import asyncio
import math
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

Clock = Callable[[], float]
Ask = Callable[[], Awaitable["Verdict"]]

JITTER = 0.1
"""Verdicts live up to this share of `ttl` less: asked together, they do not end together."""

REFUSALS = 10_000
"""Refusals have a bound of their own, so that a flood of bad tokens evicts no good verdict."""

REFRESH_PAUSE = 5.0
"""Seconds between attempts to refresh one verdict ahead of its end."""

SURE_SECONDS = 60.0
"""Seconds that a verdict may be used without a look at it: its place among those that were used
lately is that old at most."""

STALE_LIMIT = 300.0
"""Seconds that a verdict may be used past its end at most, whatever the settings say."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verify API's answer about one token (names of RFC 7662)."""

    active: bool
    subject: str | None = None
    expires: float | None = None
    """Unix time in seconds; None means that the API named no end."""
    session_expires: float | None = None
    """Where `[session] expires` points: Unix time in seconds."""
    asked: float = field(default=0.0, compare=False)
    """When the question was put, Unix time in seconds: the verdict's age counts from here. The
    cache fills it in."""

    def good_at(self, wall: float) -> bool:
        """Whether it is a yes that has not run out."""
        return self.active and (self.expires is None or wall < self.expires)


@dataclass(slots=True, eq=False)
class Remembered:
    """A verdict in the cache."""

    verdict: Verdict
    deadline: float
    refresh_at: float
    sure_until: float = -math.inf
    """Until then it needs no other look; in the past for one that is not in the cache any more."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Counts since the start, and sizes now."""

    hits: int
    misses: int
    evictions: int
    refreshes: int
    size: int
    refusals: int
    flights: int


class VerdictCache:
    """Verdicts by key.

    `ttl`, `negative_ttl` and `stale_if_error` are seconds, `max_entries` bounds the good verdicts,
    `refresh_ahead` is the share of a verdict's life after which it is asked for anew in the
    background (0: never).
    """

    def __init__(
        self,
        *,
        ttl: float,
        negative_ttl: float,
        max_entries: int,
        refresh_ahead: float = 0.0,
        stale_if_error: float = 0.0,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._refresh_ahead = refresh_ahead
        self._grace = min(stale_if_error, STALE_LIMIT)
        self._clock = clock
        self._wall = wall
        self._uniform = uniform
        self._good = _Shelf(max_entries)
        self._refused = _Shelf(min(REFUSALS, max_entries))
        self._flights: dict[bytes, asyncio.Task[Verdict]] = {}
        self._hits = self._misses = self._refreshes = 0

    def get(self, key: bytes, refresh: Ask | None = None) -> Verdict | None:
        """The remembered verdict while it may be used, else None. Never waits.

        Where the verdict nears its end, `refresh` is asked in the background, so that nobody waits
        when it ends. A refresh that fails leaves the verdict as it is.
        """
        found = self.look(key, refresh)
        return None if found is None else found.verdict

    def look(self, key: bytes, refresh: Ask | None = None) -> Remembered | None:
        """The same, with what `sure` needs to know."""
        now = self._clock()
        entry = self._good.get(key)
        if entry is None or now >= entry.deadline or not entry.verdict.good_at(self._wall()):
            entry = self._refused.get(key)
            if entry is None or now >= entry.deadline:
                return None
        else:
            if now >= entry.refresh_at and refresh is not None and key not in self._flights:
                entry.refresh_at = now + REFRESH_PAUSE
                self._refreshes += 1
                self._flight(key, refresh)
            entry.sure_until = min(entry.deadline, entry.refresh_at, now + SURE_SECONDS)
        self._hits += 1
        return entry

    def sure(self, entry: Remembered) -> bool:
        """Whether a yes that was found by `look` holds without another, but for its own expiry by
        the wall clock. It may not: it was replaced or dropped, is to be asked about anew, or was
        not looked at for long."""
        if self._clock() < entry.sure_until:
            self._hits += 1
            return True
        return False

    def stale(self, key: bytes) -> Verdict | None:
        """A yes that has run out no longer than `stale_if_error` ago and names no earlier end."""
        entry = self._good.get(key)
        if entry is None or self._clock() >= entry.deadline + self._grace:
            return None
        return entry.verdict if entry.verdict.good_at(self._wall()) else None

    def holds_yes(self, key: bytes) -> bool:
        """Whether a yes is remembered, however old."""
        return self._good.get(key) is not None

    async def verdict(self, key: bytes, ask: Ask) -> Verdict:
        """The remembered verdict, or the answer of one flight that all who wait for this key share.

        Whatever `ask` raises is raised to every waiter and remembered by nobody. A waiter that is
        cancelled leaves the flight to the others.
        """
        remembered = self.get(key)
        if remembered is not None:
            return remembered
        self._misses += 1
        return await asyncio.shield(self._flight(key, ask))

    def drop(self, key: bytes) -> None:
        """Forget one verdict."""
        self._good.drop(key)
        self._refused.drop(key)

    def clear(self) -> None:
        """Forget every verdict."""
        self._good.clear()
        self._refused.clear()

    async def settled(self) -> None:
        """Wait until no flight is under way."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _flight(self, key: bytes, ask: Ask) -> asyncio.Task[Verdict]:
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._fly(key, ask))
            flight.add_done_callback(_retrieved)
            self._flights[key] = flight
        return flight

    async def _fly(self, key: bytes, ask: Ask) -> Verdict:
        try:
            begun = self._wall()
            verdict = await ask()
            active = verdict.good_at(self._wall())
            verdict = replace(verdict, active=active, asked=verdict.asked or begun)
            self._remember(key, verdict)
            return verdict
        finally:
            del self._flights[key]

    def _remember(self, key: bytes, verdict: Verdict) -> None:
        now, wall = self._clock(), self._wall()
        age = max(0.0, wall - verdict.asked)
        if not verdict.active:
            self._good.drop(key)
            self._refused.put(key, Remembered(verdict, now + self._negative_ttl - age, now))
            return
        life = self._ttl * (1 - JITTER * self._uniform())
        left, refresh_in = life - age, life * self._refresh_ahead - age
        if verdict.expires is not None and verdict.expires - wall < left:
            left, refresh_in = verdict.expires - wall, math.inf  # the token ends, not our memory
        if not self._refresh_ahead:
            refresh_in = math.inf
        self._refused.drop(key)
        self._good.put(key, Remembered(verdict, now + left, now + refresh_in))

    def statistics(self) -> CacheStatistics:
        """For whoever keeps metrics."""
        return CacheStatistics(
            hits=self._hits,
            misses=self._misses,
            evictions=self._good.evictions,
            refreshes=self._refreshes,
            size=len(self._good),
            refusals=len(self._refused),
            flights=len(self._flights),
        )


def _retrieved(flight: asyncio.Task[Verdict]) -> None:
    # a flight whose waiters all went away may fail unheard; asyncio would complain
    if not flight.cancelled():
        flight.exception()


class _Shelf:
    """Entries by key; when full, the one used longest ago goes. Nobody is sure of one that went."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, Remembered] = OrderedDict()
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Remembered | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Remembered) -> None:
        self.drop(key)
        self._entries[key] = entry
        if len(self._entries) > self._limit:
            _, oldest = self._entries.popitem(last=False)
            oldest.sure_until = -math.inf
            self.evictions += 1

    def drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.sure_until = -math.inf

    def clear(self) -> None:
        for entry in self._entries.values():
            entry.sure_until = -math.inf
        self._entries.clear()
