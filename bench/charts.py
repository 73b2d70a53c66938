"""Charts for the handbook: one bar for each contender, with its name and its figure as text.

Colours are the handbook's, by the classes of docs/assets/extra.css, so that the charts are as
readable in the dark. (gate/observe/charts.py draws history over time and no text: another job.)
"""

from html import escape

from bench.names import GATE, SLOW_DOOR
from bench.results import Row, Table

_WIDTH, _ROW, _BAR = 480, 26, 16
_NAMES = 170
"""Where the bars begin."""

_LONGEST = 230
_GAP = 6


def bars(table: Table, figure: str) -> str:
    """One figure of all who have it, as a <figure> for a Markdown page."""
    rows = [row for row in table.rows if row.samples and figure in row.samples[0]]
    title = f"{table.name[0].upper()}{table.name[1:]}: {table.head(figure)}"
    name = f"chart-{''.join(mark if mark.isalnum() else '-' for mark in table.name.lower())}"
    most = max((row.median(figure) for row in rows), default=1.0) or 1.0
    shapes = [
        line
        for place, row in enumerate(rows)
        for line in _bar(row, figure, place * _ROW, row.median(figure) / most)
    ]
    return "\n".join(
        [
            '<figure class="picture chart" markdown="0">',
            f'<svg viewBox="0 0 {_WIDTH} {len(rows) * _ROW}" role="img" aria-labelledby="{name}">',
            f'<title id="{name}">{escape(title)}</title>',
            *shapes,
            "</svg>",
            f"<figcaption>{escape(title)}</figcaption>",
            "</figure>",
        ]
    )


def _bar(row: Row, figure: str, top: int, share: float) -> list[str]:
    length = max(1, round(share * _LONGEST))
    base = top + _BAR
    mark = ' class="ours"' if row.contender in (GATE, SLOW_DOOR) else ""
    return [
        f'<text class="label" x="{_NAMES - _GAP}" y="{base}">{escape(row.contender)}</text>',
        f'<rect{mark} x="{_NAMES}" y="{top + 3}" width="{length}" height="{_BAR}"/>',
        f'<text class="value" x="{_NAMES + length + _GAP}" y="{base}">{row.told(figure)}</text>',
    ]
