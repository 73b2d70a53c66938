"""Counts of durations by how long they were, as Prometheus wants them."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds, the bound included: a page from memory takes a few tenths of a millisecond, an
answer of the verify API at most `[verify] timeout`."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a histogram holds at one moment."""

    counts: tuple[int, ...]
    """By bound, each alone; the last is of those above every bound."""
    total: float
    """The sum of all durations, in seconds."""

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def __add__(self, other: "Spread") -> "Spread":
        counts = zip(self.counts, other.counts, strict=True)
        return Spread(tuple(a + b for a, b in counts), self.total + other.total)

    def __sub__(self, earlier: "Spread") -> "Spread":
        counts = zip(self.counts, earlier.counts, strict=True)
        return Spread(tuple(a - b for a, b in counts), self.total - earlier.total)

    def quantile(self, share: float) -> float | None:
        """Seconds that `share` of them did not exceed, as near as the bounds tell; None where
        there were none."""
        wanted, below = share * self.count, 0
        if not wanted:
            return None
        for index, count in enumerate(self.counts[:-1]):
            if below + count >= wanted:
                start = SECONDS[index - 1] if index else 0.0
                return start + (SECONDS[index] - start) * (wanted - below) / count
            below += count
        return SECONDS[-1]


NOTHING: Final = Spread((0,) * (len(SECONDS) + 1), 0.0)


class Histogram:
    """Takes durations in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self._total = 0.0

    def note(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._total += seconds

    def note_all(self, many: list[float]) -> None:
        """Many more."""
        counts = self._counts
        for seconds in many:
            counts[bisect_left(SECONDS, seconds)] += 1
        self._total += sum(many)

    def spread(self) -> Spread:
        """What it holds now."""
        return Spread(tuple(self._counts), self._total)
