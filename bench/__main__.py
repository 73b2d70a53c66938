"""`python -m bench`: starts everyone, measures, prints the table. About 90 seconds."""

import argparse
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench import load, report
from bench.contenders import Contender, Stage, contenders
from bench.machine import cores, model
from bench.rounds import Row, measure
from bench.scenarios import Scenario, scenarios
from bench.servers import CHECKOUT, BenchProblem


def main() -> int:
    """Exit code 1 where something could not be measured."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, _ended)
    try:
        load.check()
        with tempfile.TemporaryDirectory(prefix="gate-bench-") as folder:
            _run(Path(folder), options)
    except BenchProblem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
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
    return parser


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    # unwinds the contexts that end the servers
    raise KeyboardInterrupt


def _run(folder: Path, options: argparse.Namespace) -> None:
    site = folder / "site"
    # a copy, so that a site built meanwhile changes nothing
    shutil.copytree(CHECKOUT / "site", site)
    stage = Stage(folder, site, cores(), _chosen(scenarios(site), options.only))
    print(f"{model()}; {stage.cores}; {load.CONNECTIONS} connections")
    conclusions = []
    answered: Counter[str] = Counter()
    with contenders(stage, [path.resolve() for path in options.beside]) as found:
        for scenario in stage.scenarios:
            rows = _measured(found, scenario, stage, options)
            size = len(found[0].answers[scenario.name].body)
            print(f"\n{report.table(scenario, size, rows)}", flush=True)
            conclusions.append(report.conclusion(scenario, rows))
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


if __name__ == "__main__":
    sys.exit(main())
