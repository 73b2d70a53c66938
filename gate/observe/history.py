"""The last hour, minute by minute, for the charts of the status page: bounded, and made of the same
counters as the metrics, which are looked at now and then.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gate.observe.histogram import NOTHING, Spread
from gate.observe.metrics import Readings

MINUTES = 60


@dataclass(slots=True)
class Minute:
    """What happened within one."""

    outcomes: Counter[str] = field(default_factory=Counter)
    hits: int = 0
    misses: int = 0
    asked: Spread = NOTHING
    """Verifications, by how long they took."""

    @property
    def requests(self) -> int:
        """How many were answered."""
        return self.outcomes.total()

    @property
    def hit_share(self) -> float | None:
        """The share of lookups that found a verdict; None where there were none."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else None

    def add(self, other: "Minute") -> None:
        """What happened elsewhere in the same minute."""
        self.outcomes += other.outcomes
        self.hits += other.hits
        self.misses += other.misses
        self.asked += other.asked

    def less(self, earlier: "Minute") -> "Minute":
        """What came since, where both are totals."""
        return Minute(
            self.outcomes - earlier.outcomes,
            self.hits - earlier.hits,
            self.misses - earlier.misses,
            self.asked - earlier.asked,
        )


Minutes = dict[int, Minute]
"""By minutes since 1970."""


class History:
    """Keeps the last hour of one worker."""

    def __init__(self) -> None:
        self._before = Minute()
        self._minutes: Minutes = {}

    def note(self, readings: Readings, wall: float) -> None:
        """What the counters say at a moment, Unix time in seconds: what is new since the last look
        belongs to its minute."""
        now, totals = int(wall // 60), _totals(readings)
        self._minutes.setdefault(now, Minute()).add(totals.less(self._before))
        self._before = totals
        # a clock that was set back leaves minutes that are to come
        self._minutes = {at: each for at, each in self._minutes.items() if -MINUTES < at - now <= 0}

    def minutes(self) -> Minutes:
        """Those in which anybody looked."""
        return self._minutes


def _totals(readings: Readings) -> Minute:
    totals = Minute()
    for (outcome, _), count in readings.get("gate_requests_total", {}).items():
        totals.outcomes[outcome] += _whole(count)
    lookups = readings.get("gate_cache_lookups_total", {})
    totals.hits, totals.misses = (_whole(lookups.get((each,), 0)) for each in ("hit", "miss"))
    asked = readings.get("gate_verification_duration_seconds", {}).get((), NOTHING)
    totals.asked = asked if isinstance(asked, Spread) else NOTHING
    return totals


def _whole(value: float | Spread) -> int:
    assert not isinstance(value, Spread), "a counter"
    return int(value)


def last_hour(many: Iterable[Minutes], wall: float) -> list[Minute]:
    """What all workers did in the hour up to a moment, the oldest minute first."""
    now = int(wall // 60)
    hour = {at: Minute() for at in range(now - MINUTES + 1, now + 1)}
    for minutes in many:
        for at, minute in minutes.items():
            if at in hour:
                hour[at].add(minute)
    return list(hour.values())
