"""What the gate costs, beside others who do the same job or a part of it: starts everyone, measures
in turn, prints the tables and whether the limits are kept. A quarter of an hour."""

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import equal_load, idle, large_site, limits, page, report, results, sessions, workers
from bench.contenders import Field, everybody, over_tls
from bench.copies import compressed_copy
from bench.machine import cores, model
from bench.results import Results, Row, Table
from bench.rounds import Rounds, table
from bench.scenarios import HOT, Scenario, prepare, scenarios
from bench.servers import BenchProblem, Tls
from bench.stage import Stage
from tests.certificates import make_certificate

TLS = "TLS"

OTHERS: dict[str, Callable[[Stage, Rounds], Table]] = {
    workers.NAME: workers.measure,
    sessions.NAME: sessions.measure,
    idle.NAME: idle.measure,
    large_site.NAME: large_site.measure,
}
"""What starts its own servers."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--rounds", type=int, help="instead of each comparison's own (3 to 11)")
    parser.add_argument("--seconds", type=int, default=1, help="for each contender in a round (1)")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="part of a name; may be repeated"
    )
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        type=Path,
        metavar="CHECKOUT",
        help="measure the gate of another checkout as well; may be repeated",
    )
    parser.add_argument(
        "--save",
        action=argparse.BooleanOptionalAction,
        help="write bench/results.json and docs/performance.md; a whole run does",
    )


def run(folder: Path, site: Path, options: argparse.Namespace) -> bool:
    """Print the tables; whether every limit that was measured is kept."""
    prepare(site)
    chosen = Chosen(scenarios(site), options.only)
    stage = Stage(
        folder, site, compressed_copy(site, folder / "compressed"), cores(), chosen.scenarios
    )
    rounds = Rounds(rounds=options.rounds, seconds=options.seconds, cores=stage.cores, tell=_tell)
    system = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}"
    machine = f"{model()}, {system}; {stage.cores}"
    print(machine)
    tables = []
    for each in _tables(stage, rounds, chosen, options.beside):
        tables.append(each)
        print(f"\n{report.told(each)}", flush=True)
    judged = limits.judge(tables)
    print("\n" + report.verdicts(judged))
    whole = not (options.only or options.rounds or options.beside) and options.seconds == 1
    if options.save or (options.save is None and whole):
        found = Results(f"{datetime.now(UTC):%Y-%m-%d}", machine, _versions(), tables)
        results.save(found)
        page.write(results.load())
        print(f"written: {results.FILE.name}, {page.FILE.name}; `make site` builds the handbook")
    return all(each.kept for each in judged)


class Chosen:
    """Of everything that can be measured, what was asked for."""

    def __init__(self, known: Sequence[Scenario], parts: Sequence[str] | None) -> None:
        names = [*(each.name for each in known), equal_load.NAME, TLS, *OTHERS]
        self.names = [name for name in names if not parts or any(part in name for part in parts)]
        if not self.names:
            raise BenchProblem(f"what can be measured: {', '.join(names)}")
        self.requests = [each for each in known if each.name in self.names]
        # the hot page is what the others are tried with
        self.scenarios = [each for each in known if each.name == HOT or each in self.requests]

    def __contains__(self, name: str) -> bool:
        return name in self.names


def _tables(
    stage: Stage, rounds: Rounds, chosen: Chosen, beside: Sequence[Path]
) -> Iterator[Table]:
    if chosen.requests or equal_load.NAME in chosen:
        yield from _requests(stage, rounds, chosen, beside)
    small = Stage(stage.folder, stage.site, stage.compressed, stage.cores, [_hot(stage.scenarios)])
    if TLS in chosen:
        yield _tls(small, rounds)
    for name, measure in OTHERS.items():
        if name in chosen:
            yield measure(small, rounds)


def _requests(
    stage: Stage, rounds: Rounds, chosen: Chosen, beside: Sequence[Path]
) -> Iterator[Table]:
    with everybody(stage, [path.resolve() for path in beside]) as found:
        hot: list[Row] = []
        for scenario in stage.scenarios:
            taking_part = [each for each in found.running if scenario.name in each.scripts]
            if scenario in chosen.requests or equal_load.NAME in chosen:
                rows = rounds.measure(taking_part, scenario)
                hot = hot or rows
            if scenario in chosen.requests:
                yield table(scenario, rows, found.absent)
        if equal_load.NAME in chosen:
            yield equal_load.measure(rounds, found.running, hot, stage.folder)
    _count_lines(found)


def _tls(stage: Stage, rounds: Rounds) -> Table:
    secure = Stage(
        stage.folder,
        stage.site,
        stage.compressed,
        stage.cores,
        stage.scenarios,
        Tls(*make_certificate(stage.folder)),
    )
    hot = stage.scenarios[0]
    with over_tls(secure) as found:
        rows = rounds.measure(found.running, hot, secure=True)
    says = "The hot page over TLS, on connections that stay open."
    return Table(TLS, says, table(hot, rows, found.absent).rows)


def _hot(known: Sequence[Scenario]) -> Scenario:
    return next(each for each in known if each.name == HOT)


def _count_lines(found: Field) -> None:
    """Whoever logs must have logged everything, or its figures are of less work."""
    for each in found.running:
        if each.logs and each.server.lines < each.answered:
            raise BenchProblem(
                f"{each.name} answered {each.answered} requests "
                f"and logged only {each.server.lines} lines"
            )


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="\r", file=sys.stderr, flush=True)


def _versions() -> dict[str, str]:
    """Of everything that took part."""
    found = {"Python": platform.python_version()}
    for name in ("aiohttp", "uvloop", "aiohttp-session", "Flask", "gunicorn"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, option in (("nginx", "-v"), ("caddy", "version"), ("wrk", "-v")):
        program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if program is not None:
            done = subprocess.run([program, option], capture_output=True, text=True, check=False)
            found[name] = _number(done.stdout + done.stderr)
    return found


def _number(text: str) -> str:
    words = text.replace("/", " ").split()
    return next((word for word in words if any(mark.isdigit() for mark in word)), "unknown")
