"""What a run found: tables of samples, kept as JSON, so that a page can be made of them without a
run."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.servers import CHECKOUT

FILE = CHECKOUT / "bench" / "results.json"

Sample = dict[str, float]
"""Figures of one round, by their names in `FIGURES`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What can be measured, in the order of the columns."""

    head: str
    """The column's head; {each} is what is counted."""
    digits: int


FIGURES = {
    "micros": Figure("µs of processor time a {each}", 1),
    "rate": Figure("{each}s a second", 0),
    "capacity": Figure("{each}s a second with a core for each", 0),
    "first_s": Figure("seconds to the first answer", 2),
    "p50_ms": Figure("p50 ms", 2),
    "p99_ms": Figure("p99 ms", 2),
    "before_mib": Figure("MiB before", 0),
    "above_mib": Figure("MiB more", 1),
    "rss_mib": Figure("memory MiB", 0),
}


def shown(figure: str, value: float) -> str:
    """A figure as text, with no more digits than it has."""
    return f"{value:,.{0 if value >= _EXACT else FIGURES[figure].digits}f}"


_EXACT = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One contender in all rounds."""

    contender: str
    samples: Sequence[Sample] = ()
    note: str = ""
    """What it sent; without samples, why there are none."""

    def median(self, figure: str) -> float:
        """The median of the rounds."""
        return statistics.median(sample[figure] for sample in self.samples)

    def told(self, figure: str) -> str:
        """The median as text; empty where the row has no such figure."""
        has = bool(self.samples) and figure in self.samples[0]
        return shown(figure, self.median(figure)) if has else ""

    def ratio(self, yardstick: "Row", figure: str) -> float:
        """How many times the yardstick's figure: the median of each round's own ratio."""
        pairs = zip(self.samples, yardstick.samples, strict=True)
        return statistics.median(ours[figure] / theirs[figure] for ours, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Table:
    """One comparison."""

    name: str
    says: str
    rows: Sequence[Row]
    each: str = "request"
    compared: str = "micros"
    """The figure by which the others are compared with the first row."""

    @property
    def figures(self) -> list[str]:
        """Those that it has, in the order of the columns."""
        return [name for name in FIGURES if any(name in row.samples[0] for row in self._full)]

    @property
    def _full(self) -> list[Row]:
        return [row for row in self.rows if row.samples]

    def row(self, contender: str) -> Row | None:
        """The figures of one; None where it has none."""
        return next((row for row in self._full if row.contender == contender), None)

    def beside_first(self, row: Row) -> float | None:
        """How many times the first row's figure; None for that row, and where it cannot be said."""
        first = self.rows[0]
        if row is first or not first.samples or len(row.samples) != len(first.samples):
            return None
        return row.ratio(first, self.compared)

    def head(self, figure: str) -> str:
        """The head of a column."""
        return FIGURES[figure].head.format(each=self.each)


@dataclass(frozen=True, slots=True)
class Results:
    """One whole run."""

    day: str
    machine: str
    versions: dict[str, str]
    tables: Sequence[Table]


def save(results: Results, file: Path = FILE) -> None:
    """Write them, with no more digits than a measurement has."""
    plain = asdict(results)
    for table in plain["tables"]:
        for row in table["rows"]:
            row["samples"] = [
                {name: float(f"{value:.4g}") for name, value in sample.items()}
                for sample in row["samples"]
            ]
    file.write_text(json.dumps(plain, ensure_ascii=False, indent=1) + "\n", "utf-8")


def load(file: Path = FILE) -> Results:
    """What was saved."""
    plain = json.loads(file.read_text("utf-8"))
    tables = [
        Table(**{**table, "rows": [Row(**row) for row in table["rows"]]})
        for table in plain["tables"]
    ]
    return Results(**{**plain, "tables": tables})
