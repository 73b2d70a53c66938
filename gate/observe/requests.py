"""Counts of the responses, from the place where the access log gets its lines."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from gate.observe.histogram import Histogram, Spread


@dataclass(frozen=True, slots=True)
class RequestStatistics:
    """Counts since the start."""

    responses: Counter[tuple[str, str]]
    """By outcome and class of the status, as "2xx"."""
    durations: Spread


class RequestCounts:
    """Counts. One note costs about a microsecond: it is on the way of every request."""

    def __init__(self) -> None:
        self._by: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._durations = Histogram()
        self._took = self._durations.note

    def note(self, outcome: str, status: int, seconds: float) -> None:
        """One response was sent, `seconds` after its request came in."""
        self._by[outcome, status] += 1
        self._took(seconds)

    def statistics(self) -> RequestStatistics:
        """For whoever keeps metrics."""
        # alerts look for their first one, which is seen only where there was a 0 before
        responses = Counter({("failed", "5xx"): 0, ("unavailable", "5xx"): 0})
        for (outcome, status), count in self._by.items():
            responses[outcome, f"{status // 100}xx"] += count
        return RequestStatistics(responses, self._durations.spread())
