"""The table."""

from collections.abc import Sequence

from bench.contenders import BARE, GATE, NGINX
from bench.rounds import Row
from bench.scenarios import HOT, Scenario

LIMIT = 2.2
"""How many times the bare application a hot page of the gate may cost."""

BESIDE_NGINX = {HOT: 0.85}
OTHERS_BESIDE_NGINX = 0.9
"""How many times nginx, doing the same job, a request may cost."""

_HEAD = f"{'':<18}{'µs a request':>14}{'min':>8}{'max':>8}{'requests/s':>12}{'p99 ms':>9}"


def table(scenario: Scenario, size: int, rows: Sequence[Row]) -> str:
    """One scenario, contender by contender."""
    yardstick = _of(rows, BARE)
    lines = [
        f"{scenario.name}: {scenario.path}, {size:,} bytes",
        f"{_HEAD}{'ratio':>8}",
    ]
    for row in rows:
        micros = [sample.micros for sample in row.samples]
        lines.append(
            f"  {row.contender:<16}{row.micros:>14.1f}{min(micros):>8.1f}{max(micros):>8.1f}"
            f"{row.rate:>12,.0f}{row.p99_ms:>9.1f}{row.ratio(yardstick):>8.2f}"
        )
    return "\n".join(lines)


def conclusion(scenario: Scenario, rows: Sequence[Row]) -> str:
    """Whether the limit is kept; empty for a scenario that has none."""
    if scenario.name != HOT:
        return ""
    ratio = _of(rows, GATE).ratio(_of(rows, BARE))
    verdict = "kept" if ratio <= LIMIT else "NOT KEPT"
    return f"hot page: {ratio:.2f} times the bare application (at most {LIMIT}): {verdict}"


def beside_nginx(scenario: Scenario, rows: Sequence[Row]) -> str:
    """The same beside nginx."""
    limit = BESIDE_NGINX.get(scenario.name, OTHERS_BESIDE_NGINX)
    ratio = _of(rows, GATE).ratio(_of(rows, NGINX))
    verdict = "kept" if ratio <= limit else "NOT KEPT"
    return f"{scenario.name}: {ratio:.2f} times nginx (at most {limit}): {verdict}"


def _of(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.contender == name)
