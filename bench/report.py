"""The tables, for a terminal."""

from collections.abc import Iterator, Sequence

from bench.limits import Judged
from bench.results import FIGURES, Row, Table

_NAME = 32


def told(table: Table) -> str:
    """One comparison."""
    return "\n".join(_lines(table))


def _lines(table: Table) -> Iterator[str]:
    yield f"{table.name}: {table.says}"
    figures = table.figures
    heads = [_short(figure, table) for figure in figures]
    yield f"{'':<{_NAME}}" + "".join(f"{head:>16}" for head in heads) + "   beside the first row"
    for row in table.rows:
        yield f"  {row.contender:<{_NAME - 2}}" + _figures(row, table)


def _figures(row: Row, table: Table) -> str:
    if not row.samples:
        return f"  {row.note}"
    cells = "".join(f"{row.told(figure):>16}" for figure in table.figures)
    ratio = table.beside_first(row)
    beside = "" if ratio is None else f"{ratio:.2f}x"
    return f"{cells}{beside:>9}  {row.note}".rstrip()


def _short(figure: str, table: Table) -> str:
    short = {
        "micros": f"µs a {table.each}",
        "rate": f"{table.each}s/s",
        "capacity": "a core each",
    }
    return short.get(figure, FIGURES[figure].head)


def verdicts(judged: Sequence[Judged]) -> str:
    """Every limit, what was found, and whether it was kept."""
    return "\n".join(
        f"{each.limit.what:<78}{each.shown:>12}   {each.limit.due:<18} {each.verdict}"
        for each in judged
    )
