"""What the gate has to keep, beside others and alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.names import BARE, FLASK, GATE, NGINX, STRAIGHTFORWARD
from bench.results import Table

MEMORY_MIB = 256
"""`[site] memory_mib` of the gates that are measured: the default."""


_TOLD = {
    "micros": "processor time",
    "capacity": "requests a second with a core for each",
    "p99_ms": "p99",
    "above_mib": "memory they cost",
    "first_s": "time to the first answer",
    "rss_mib": "memory",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One figure of one table, or its ratio to that of a yardstick."""

    table: str
    figure: str
    bound: float
    beside: str = ""
    ours: str = GATE
    least: bool = False
    """Whether the bound is the least that is due, not the most that is allowed."""
    unit: str = ""
    told: str = ""
    """The bound, where a fraction says it better."""

    @property
    def what(self) -> str:
        """What is judged."""
        beside = f" beside {self.beside}" if self.beside else ""
        return f"{self.table}: {self.ours}{beside}, {_TOLD[self.figure]}"

    @property
    def due(self) -> str:
        """The bound in words."""
        return f"at {'least' if self.least else 'most'} {self.told or f'{self.bound:g}'}{self.unit}"


@dataclass(frozen=True, slots=True)
class Judged:
    """A limit and what was found."""

    limit: Limit
    found: float | None
    """None where it could not be measured."""

    @property
    def kept(self) -> bool:
        """Whether the limit was kept. What was not measured was not kept."""
        if self.found is None:
            return False
        bound = self.limit.bound
        return self.found >= bound if self.limit.least else self.found <= bound

    @property
    def verdict(self) -> str:
        """One word."""
        return "not measured" if self.found is None else "within" if self.kept else "over"

    @property
    def shown(self) -> str:
        """What was found, in words."""
        if self.found is None:
            return ""
        if self.limit.told:  # as the bound is told
            return f"1/{1 / self.found:.1f}"
        return f"{self.found:.3g}{self.limit.unit}"


TWO_WORKERS, ONE_WORKER = "two workers", "one worker"
FEW_KNOWN, MANY_KNOWN = "10 sessions known", "100,000 sessions known"

LIMITS = (
    Limit("hot page", "micros", 0.85, NGINX),
    Limit("1,000 readers", "micros", 0.90, NGINX),
    Limit("304", "micros", 0.90, NGINX),
    Limit("small asset", "micros", 0.90, NGINX),
    Limit("equal load", "p99_ms", 1.2, NGINX),
    Limit("hot page", "micros", 1 / 12, STRAIGHTFORWARD, told="1/12"),
    Limit("hot page", "micros", 1 / 35, FLASK, told="1/35"),
    Limit("hot page", "micros", 2.2, BARE),
    Limit("1 MB asset", "micros", 1.5, NGINX),
    Limit("first visit", "micros", 2.0, NGINX),
    Limit("workers", "capacity", 1.8, ONE_WORKER, TWO_WORKERS, least=True),
    Limit("idle connections", "above_mib", 30, unit=" MiB"),
    Limit("large site", "first_s", 2, unit=" s"),
    Limit("large site", "rss_mib", MEMORY_MIB + 80, unit=" MiB"),
    Limit("sessions", "micros", 1.1, FEW_KNOWN, MANY_KNOWN),
)


def judge(tables: Sequence[Table]) -> list[Judged]:
    """Every limit of the tables that are there."""
    named = {table.name: table for table in tables}
    return list(_judged(named))


def _judged(named: dict[str, Table]) -> Iterator[Judged]:
    for limit in LIMITS:
        if limit.table in named:
            yield Judged(limit, _found(limit, named[limit.table]))


def _found(limit: Limit, table: Table) -> float | None:
    ours = table.row(limit.ours)
    if ours is None:
        return None
    if not limit.beside:
        return ours.median(limit.figure)
    yardstick = table.row(limit.beside)
    return None if yardstick is None else ours.ratio(yardstick, limit.figure)
