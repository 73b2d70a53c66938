"""Small charts as SVG, made on the server: shapes alone, without a script, a style attribute or a
text. Words and numbers stand in the page around them, where they stay readable at every width.
"""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 600
HEIGHT: Final = 120
_GAP: Final = 0.2


def bars(series: Sequence[tuple[str, Sequence[int]]], *, label: str) -> Markup:
    """Stacked bars. Each series is a class of the stylesheet and its values, the lowest first; all
    have as many values."""
    columns = list(zip(*(values for _, values in series), strict=True))
    scale = HEIGHT / max([sum(column) for column in columns] + [1])
    step = WIDTH / max(len(columns), 1)
    shapes = []
    for index, column in enumerate(columns):
        below = 0.0
        for (name, _), value in zip(series, column, strict=True):
            if value:
                height = value * scale
                y = HEIGHT - below - height
                place = f'x="{_n(index * step + step * _GAP / 2)}" y="{_n(y)}"'
                size = f'width="{_n(step * (1 - _GAP))}" height="{_n(height)}"'
                shapes.append(f'<rect class="{name}" {place} {size}/>')
                below += height
    return _svg(shapes, label)


def lines(
    series: Sequence[tuple[str, Sequence[float | None]]], *, label: str, top: float | None = None
) -> Markup:
    """Lines, broken where a value is None. `top` is the value at the upper edge, the largest where
    none is given."""
    values = [value for _, each in series for value in each if value is not None]
    highest = top or max(values, default=0.0) or 1.0
    shapes = []
    for name, each in series:
        step = WIDTH / max(len(each), 1)
        for start, run in _runs(each):
            points = [
                f"{_n((start + i + 0.5) * step)},{_n(HEIGHT - min(value / highest, 1) * HEIGHT)}"
                for i, value in enumerate(run)
            ]
            if len(points) == 1:  # a line of no length, which its round ends make a dot
                points *= 2
            shapes.append(f'<polyline class="line {name}" points="{" ".join(points)}"/>')
    return _svg(shapes, label)


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    runs: list[tuple[int, list[float]]] = []
    before: float | None = None
    for index, value in enumerate(values):
        if value is not None:
            if before is None:
                runs.append((index, []))
            runs[-1][1].append(value)
        before = value
    return runs


def _svg(shapes: Sequence[str], label: str) -> Markup:
    grid = "".join(
        f'<line class="grid" x1="0" x2="{WIDTH}" y1="{_n(y)}" y2="{_n(y)}"/>'
        for y in (0.5, HEIGHT / 2, HEIGHT - 0.5)
    )
    # numbers, and names of classes that are ours
    return Markup(  # noqa: S704
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(label)}">{grid}{"".join(shapes)}</svg>'
    )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
