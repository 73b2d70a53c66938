"""The handbook, the dashboard and the alerts know the metrics that there are, and no others."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from gate.observe.families import BY_NAME, Family
from tests.test_docs import DOCS, ROOT

PAGE = (DOCS / "monitoring.md").read_text("utf-8")
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text("utf-8"))[
    "groups"
][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_bytes())

_SELECTOR = re.compile(r"\b((?:gate|process)_\w+)(\{[^}]*\})?")
_OF_PROMETHEUS = {"instance", "job", "le"}


def panels(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in of.get("panels", []):
        yield panel
        yield from panels(panel)


def expressions() -> list[str]:
    drawn = [target["expr"] for panel in panels(DASHBOARD) for target in panel.get("targets", [])]
    return [*drawn, *(rule["expr"] for rule in RULES)]


def selected() -> Iterator[tuple[str, Family | None, str]]:
    """Names in expressions as they stand there, the family meant, and the labels asked for."""
    for expression in expressions():
        for name, labels in _SELECTOR.findall(expression):
            plain = re.sub("_(bucket|sum|count)$", "", name)
            histogram = BY_NAME.get(plain)
            meant = histogram if histogram and histogram.kind == "histogram" else BY_NAME.get(name)
            yield name, meant, labels


def test_dashboard_and_alerts_ask_for_metrics_that_there_are() -> None:
    assert [name for name, family, _ in selected() if family is None] == []


def test_the_dashboard_draws_every_metric() -> None:
    drawn = json.dumps(DASHBOARD)
    assert [name for name in BY_NAME if name not in drawn] == []


def test_dashboard_and_alerts_ask_for_labels_that_there_are() -> None:
    strange = []
    for name, family, labels in selected():
        known = {*(family.labels if family else ()), *_OF_PROMETHEUS}
        strange += [(name, label) for label in re.findall(r"(\w+)=", labels) if label not in known]
    for expression in expressions():
        for names in re.findall(r"\bby \(([^)]*)\)", expression):
            (family, *_) = [BY_NAME[n] for n in BY_NAME if n in expression]
            known = {*family.labels, *_OF_PROMETHEUS}
            strange += [(expression, name) for name in names.split(", ") if name not in known]
    assert strange == []


def test_the_handbook_has_every_metric_with_kind_and_labels() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| (\w+) \|([^|]*)\|", PAGE)
    told = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]
    assert told == [(each.name, each.kind, each.labels) for each in BY_NAME.values()]


def test_the_handbook_says_what_to_do_about_each_alert() -> None:
    section = PAGE.split("\n## Alerts\n")[1].split("\n## ")[0]
    explained = re.findall(r"(?m)^### (\w+)\n\n(.+)$", section)
    assert [name for name, _ in explained] == [rule["alert"] for rule in RULES]
    assert all(len(text) > 80 for _, text in explained)


def test_each_alert_leads_to_its_paragraph() -> None:
    for rule in RULES:
        assert rule["annotations"]["handbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    every = list(panels(DASHBOARD))
    assert len({panel["id"] for panel in every}) == len(every)
    taken: set[tuple[int, int]] = set()
    for panel in every:
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
