"""Processor time a request, beside others: starts everyone, measures, prints the table. About 90
seconds."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench import load, report
from bench.contenders import Contender, Stage, contenders
from bench.machine import Cores, model
from bench.rounds import Row, measure
from bench.scenarios import Scenario, scenarios
from bench.servers import BenchProblem


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--rounds", type=int, help="instead of the scenario's own (5 or 7)")
    parser.add_argument("--seconds", type=int, default=1, help="for each contender in a round (1)")
    parser.add_argument(
        "--only", action="append", metavar="SCENARIO", help="part of a name; may be repeated"
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        type=Path,
        metavar="CHECKOUT",
        help="measure the gate of another checkout as well; may be repeated",
    )


def run(folder: Path, site: Path, cores: Cores, options: argparse.Namespace) -> None:
    """Print the tables."""
    stage = Stage(folder, site, cores, _chosen(scenarios(site), options.only))
    print(f"{model()}; {stage.cores}; {load.CONNECTIONS} connections")
    conclusions = []
    answered: Counter[str] = Counter()
    with contenders(stage, [path.resolve() for path in options.beside]) as found:
        for scenario in stage.scenarios:
            rows = _measured(found, scenario, stage, options)
            size = len(found[0].answers[scenario.name].body)
            print(f"\n{report.table(scenario, size, rows)}", flush=True)
            conclusions.append(report.conclusion(scenario, rows))
            conclusions.append(report.beside_nginx(scenario, rows))
            for row in rows:
                answered[row.contender] += sum(sample.requests for sample in row.samples)
    print("\n" + "\n".join(filter(None, conclusions)))
    _count_lines(found, answered)


def _chosen(known: list[Scenario], parts: Sequence[str] | None) -> list[Scenario]:
    chosen = [each for each in known if not parts or any(part in each.name for part in parts)]
    if not chosen:
        raise BenchProblem(f"the scenarios are: {', '.join(each.name for each in known)}")
    return chosen


def _measured(
    found: Sequence[Contender], scenario: Scenario, stage: Stage, options: argparse.Namespace
) -> list[Row]:
    return measure(
        found,
        scenario,
        rounds=options.rounds or scenario.rounds,
        seconds=options.seconds,
        cores=stage.cores,
        tell=_tell,
    )


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="\r", file=sys.stderr, flush=True)


def _count_lines(found: Sequence[Contender], answered: Counter[str]) -> None:
    """Whoever logs must have logged everything, or its figures are of less work."""
    for each in found:
        if each.logs and each.server.lines < answered[each.name]:
            raise BenchProblem(
                f"{each.name} answered {answered[each.name]} requests "
                f"and logged only {each.server.lines} lines"
            )
