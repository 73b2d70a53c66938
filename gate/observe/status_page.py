"""The page for people at /-/status: what the gate is doing, as HTML, from readings and minutes."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gate import __version__
from gate.observe import charts
from gate.observe.histogram import NOTHING
from gate.observe.history import Minute
from gate.observe.metrics import Readings
from gate.observe.problems import Problem
from gate.outcome import Outcome
from gate.wording import TEMPLATES

Shown = Mapping[str, Mapping[str, object]]
"""The settings by section and key, with secrets masked."""

_GROUPS: Final = {  # what a chart of many colours would hide: is it well, is it us, is it them
    "served": {Outcome.ALLOWED, Outcome.PUBLIC, Outcome.INTAKE},
    "turned-away": {
        Outcome.NO_TOKEN, Outcome.REFUSED, Outcome.EXPIRED, Outcome.FORBIDDEN, Outcome.LIMITED,
        Outcome.MALFORMED,
    },
    "failing": {Outcome.STALE, Outcome.UNAVAILABLE, Outcome.FAILED},
}  # fmt: skip
_LEGENDS: Final = {"served": "served", "turned-away": "turned away", "failing": "failing"}


@dataclass(frozen=True, slots=True)
class Now:
    """All that the page is made of. `moment` is Unix time in seconds."""

    moment: float
    readings: Readings
    hour: Sequence[Minute]
    problems: Sequence[Problem]
    not_ready: str | None
    build_problem: str | None


@dataclass(frozen=True, slots=True)
class _Chart:
    title: str
    figure: str
    """The value that matters most, in words."""
    top: str
    svg: Markup
    legend: Sequence[tuple[str, str]] = ()


class StatusPage:
    """Makes the page. `settings` are shown as they are: they must hold no secret."""

    def __init__(self, settings: Shown) -> None:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["moment"] = _moment
        self._template = environment.get_template("status.html")
        self._settings = settings

    def html(self, now: Now) -> bytes:
        """The page as UTF-8."""
        outcomes: Counter[str] = sum((each.outcomes for each in now.hour), Counter())
        page = self._template.render(
            now=now,
            version=f"Docs Gate {__version__}, Python {platform.python_version()}",
            figures=_figures(now),
            charts=[_requests(now.hour), _latency(now.hour), _hits(now.hour)],
            outcomes=[(name, count, _group(name)) for name, count in outcomes.most_common()],
            counted=_count,
            most=max(outcomes.values(), default=1),
            settings=self._settings,
        )
        return page.encode("utf-8", "replace")


def _figures(now: Now) -> list[tuple[str, str]]:
    def value(name: str, *labels: str) -> float | None:
        found = now.readings.get(name, {}).get(labels)
        return float(found) if isinstance(found, int | float) else None

    states = ("open", "paused", "closed")
    state = next((each for each in states if value("gate_breaker_state", each)), "closed")
    said = {"closed": "asked when needed", "paused": "wants a pause", "open": "fails: given a rest"}
    memory = value("process_resident_memory_bytes")
    opened, most = value("process_open_fds"), value("process_max_fds")
    lost = sum(
        float(each)
        for each in now.readings.get("gate_log_lines_lost_total", {}).values()
        if isinstance(each, int | float)
    )
    return [
        ("Running since", _moment(value("process_start_time_seconds") or now.moment)),
        ("Workers", _count(value("gate_workers"))),
        ("Site", f"{_count(value('gate_site_pages'))} pages, loaded "
                 + _moment(value("gate_site_loaded_timestamp_seconds") or now.moment)),
        ("Verify API", said[state]),
        ("Verdicts remembered", _count(value("gate_cache_entries", "good"))),
        ("Revocations", _count(value("gate_revocations"))),
        ("Memory", "unknown" if memory is None else f"{memory / 2**20:.0f} MiB"),
        ("File descriptors", f"{_count(opened)} of {_count(most)}"),
        ("Log lines lost", _count(lost)),
    ]  # fmt: skip


def _requests(hour: Sequence[Minute]) -> _Chart:
    by_group = {
        group: [
            sum(count for name, count in minute.outcomes.items() if _group(name) == group)
            for minute in hour
        ]
        for group in _GROUPS
    }
    total, top = sum(each.requests for each in hour), max(each.requests for each in hour)
    return _Chart(
        "Requests",
        f"{_count(total)} in the last hour",
        f"{_count(top)} a minute",
        charts.bars(list(by_group.items()), label=f"Requests a minute, {_count(top)} at most"),
        list(_LEGENDS.items()),
    )


def _latency(hour: Sequence[Minute]) -> _Chart:
    whole = sum((each.asked for each in hour), NOTHING)
    half, most = ([minute.asked.quantile(q) for minute in hour] for q in (0.5, 0.95))
    top = max([each for each in most if each is not None], default=0.0)
    return _Chart(
        "Verify API",
        f"{_count(whole.count)} answered, {_seconds(whole.quantile(0.5))} in the middle",
        _seconds(top),
        charts.lines(
            [("most", most), ("half", half)],
            label=f"Time that the verify API took, {_seconds(top)} at most",
        ),
        [("half", "half of them"), ("most", "95 of 100")],
    )


def _hits(hour: Sequence[Minute]) -> _Chart:
    whole = sum(each.hits for each in hour), sum(each.misses for each in hour)
    share = f"{100 * whole[0] / sum(whole):.1f} %" if sum(whole) else "nobody asked"
    return _Chart(
        "Verdicts found in memory",
        share,
        "100 %",
        charts.lines(
            [("half", [minute.hit_share for minute in hour])],
            label=f"Share of verdicts found in memory: {share}",
            top=1.0,
        ),
    )


def _group(outcome: str) -> str:
    known = {each.value: each for each in Outcome}
    return next((name for name, of in _GROUPS.items() if known.get(outcome) in of), "failing")


def _count(number: float | None) -> str:
    return "unknown" if number is None else f"{int(number):,}".replace(",", "\u202f")


def _seconds(seconds: float | None) -> str:
    if not seconds:
        return "none" if seconds is None else "0 ms"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.2g} s"


def _moment(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"
