"""Counts of the responses, from the place where the access log gets its lines."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gate.observe.histogram import Histogram, Spread


@dataclass(frozen=True, slots=True)
class RequestStatistics:
    """Counts since the start."""

    responses: Counter[tuple[str, str]]
    """By outcome and class of the status, as "2xx"."""
    durations: Spread


class RequestCounts:
    """Counts, many responses at once: they are on the way of every request."""

    def __init__(self) -> None:
        self._by: Counter[tuple[str, int]] = Counter()
        self._durations = Histogram()

    def note(self, answers: Iterable[tuple[str, int]], seconds: list[float]) -> None:
        """Responses were sent: outcome and status of each, and how long it took."""
        self._by.update(answers)
        self._durations.note_all(seconds)

    def statistics(self) -> RequestStatistics:
        """For whoever keeps metrics."""
        # alerts look for their first one, which is seen only where there was a 0 before
        responses = Counter({("failed", "5xx"): 0, ("unavailable", "5xx"): 0})
        for (outcome, status), count in self._by.items():
            responses[outcome, f"{status // 100}xx"] += count
        return RequestStatistics(responses, self._durations.spread())
