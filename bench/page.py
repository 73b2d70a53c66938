"""The handbook's page about performance, made of what a run found: `python -m bench page`.

bench/performance.md has the words; the figures, and what is said of them, come from the results.
"""

from collections.abc import Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import charts
from bench.limits import judge
from bench.names import TOLD
from bench.results import Results, Row, Table
from bench.servers import CHECKOUT

FILE = CHECKOUT / "docs" / "performance.md"


def write(results: Results) -> None:
    """Write the page; `make site` then builds the handbook."""
    FILE.write_text(build(results), "utf-8")


def build(results: Results) -> str:
    """The page as Markdown."""
    # Markdown is no HTML: nothing here comes from outside
    environment = Environment(
        loader=FileSystemLoader(CHECKOUT / "bench"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("performance.md").render(
        results=results,
        judged=judge(results.tables),
        contenders=TOLD,
        tables={each.name: each for each in results.tables},
        chart=charts.bars,
        grid=grid,
    )


def grid(table: Table) -> str:
    """All figures of a comparison, as a table; what was sent, in a line below."""
    beside = any(table.beside_first(row) for row in table.rows)
    reasons = not all(row.samples for row in table.rows)
    heads = ["", *(_cap(table.head(figure)) for figure in table.figures)]
    if beside:
        heads.append(f"Beside {table.rows[0].contender}")
    marks = ["---", *["---:"] * (len(heads) - 1)]
    if reasons:
        heads, marks = [*heads, "Why not"], [*marks, "---"]
    rows = [_cells(row, table, beside=beside, reasons=reasons) for row in table.rows]
    return "\n".join([*map(_line, [heads, marks, *rows]), *_sent(table)])


def _cells(row: Row, table: Table, *, beside: bool, reasons: bool) -> list[str]:
    cells = [row.contender, *map(row.told, table.figures)]
    if beside:
        ratio = table.beside_first(row)
        cells.append("" if ratio is None else f"{ratio:.2f}")
    if reasons:
        cells.append("" if row.samples else row.note)
    return cells


def _sent(table: Table) -> list[str]:
    senders: dict[str, list[str]] = {}
    for row in table.rows:
        if row.samples and row.note:
            senders.setdefault(row.note, []).append(row.contender)
    if not senders:
        return []
    told = "; ".join(f"{note} by {', '.join(names)}" for note, names in senders.items())
    return ["", f"Sent: {told}."]


def _cap(text: str) -> str:
    return text if text[0] in "µp" else text[0].upper() + text[1:]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
