"""Readings of the metrics: joined over workers, and as the text that Prometheus reads.

Written here and not by the Prometheus client, whose counters are pushed to and take a lock each
time: the gate's are pulled from the rooms, and only their text is wanted.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from gate.observe.families import BY_NAME, FAMILIES, Family
from gate.observe.histogram import SECONDS, Spread

Labels: TypeAlias = tuple[str, ...]
Value: TypeAlias = float | Spread
Readings: TypeAlias = dict[str, dict[Labels, Value]]
"""By family, and in it by the values of its labels. A family may be absent."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_JOINS: Final[dict[str, Callable[[float, float], float]]] = {
    "sum": lambda a, b: a + b,
    "max": max,
    "min": min,
}


def joined(many: Iterable[Readings]) -> Readings:
    """The readings of several workers as those of one gate."""
    whole: Readings = {}
    for readings in many:
        for name, samples in readings.items():
            family = BY_NAME.get(name)
            if family is None:  # of another version, during an update
                continue
            mine = whole.setdefault(name, {})
            for labels, value in samples.items():
                mine[labels] = _join(family, mine[labels], value) if labels in mine else value
    return whole


def _join(family: Family, a: Value, b: Value) -> Value:
    if isinstance(a, Spread) and isinstance(b, Spread):
        return a + b
    assert not isinstance(a, Spread), "one family, one kind"
    assert not isinstance(b, Spread), "one family, one kind"
    return _JOINS[family.join](a, b)


def counters(readings: Readings) -> Readings:
    """What of the readings outlives the worker that they are of."""
    return {name: each for name, each in readings.items() if BY_NAME[name].kind != "gauge"}


def exposition(readings: Readings) -> str:
    """The text format of Prometheus, version 0.0.4, families in the order of the table."""
    return "".join(
        line for family in FAMILIES for line in _lines(family, readings.get(family.name, {}))
    )


def _lines(family: Family, samples: dict[Labels, Value]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for values, value in sorted(samples.items(), key=lambda item: item[0]):
        pairs = [
            f'{name}="{_escaped(text)}"' for name, text in zip(family.labels, values, strict=True)
        ]
        if isinstance(value, Spread):
            yield from _histogram(family.name, pairs, value)
        else:
            yield f"{family.name}{_braced(pairs)} {_number(value)}\n"


def _histogram(name: str, pairs: list[str], spread: Spread) -> Iterator[str]:
    below = 0
    for bound, count in zip((*map(_number, SECONDS), "+Inf"), spread.counts, strict=True):
        below += count
        bucket = _braced([*pairs, f'le="{bound}"'])
        yield f"{name}_bucket{bucket} {below}\n"
    yield f"{name}_sum{_braced(pairs)} {_number(spread.total)}\n"
    yield f"{name}_count{_braced(pairs)} {below}\n"


def _braced(pairs: list[str]) -> str:
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
