"""Readings and minutes as JSON has them, and back."""

from collections import Counter
from typing import Any

from gate.observe.families import BY_NAME
from gate.observe.histogram import Spread
from gate.observe.history import Minute, Minutes
from gate.observe.metrics import Readings, Value


def of_readings(readings: Readings) -> dict[str, Any]:
    """Labels cannot be names in JSON: pairs of labels and value."""
    return {
        name: [[labels, _of(value)] for labels, value in samples.items()]
        for name, samples in readings.items()
    }


def to_readings(document: dict[str, Any]) -> Readings:
    """The same back. What another version of the gate knows besides is left out."""
    return {
        name: {tuple(labels): _to(value) for labels, value in samples}
        for name, samples in document.items()
        if name in BY_NAME
    }


def of_minutes(minutes: Minutes) -> list[Any]:
    """A list for each minute."""
    return [
        [at, dict(each.outcomes), each.hits, each.misses, _of(each.asked)]
        for at, each in minutes.items()
    ]


def to_minutes(document: list[Any]) -> Minutes:
    """The same back."""
    return {
        at: Minute(Counter(outcomes), hits, misses, _spread(asked))
        for at, outcomes, hits, misses, asked in document
    }


def _of(value: Value) -> Any:
    return [value.counts, value.total] if isinstance(value, Spread) else value


def _to(value: Any) -> Value:
    return _spread(value) if isinstance(value, list) else float(value)


def _spread(value: list[Any]) -> Spread:
    counts, total = value
    return Spread(tuple(counts), total)
