"""`python -m bench faults`: faults, one after the other, with people who read beside each."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.faults import connections, lives, surroundings
from bench.faults.slowhttp import MODES, slowhttp
from bench.faults.trial import Row, Stage
from bench.machine import Cores, on_core
from bench.servers import BenchProblem

Fault = Callable[[Stage], Awaitable[Row]]

FAULTS: dict[str, Fault] = {
    "descriptors": connections.descriptors,
    "stalled": connections.stalled,
    "idle": connections.idle,
    "slow": connections.slow,
    "disk": surroundings.full_disk,
    "pipe": surroundings.unread_pipe,
    "clock": surroundings.clock,
    "api": surroundings.flapping,
    "redis": surroundings.shared,
    "worker": lives.killed,
    "swap": lives.swapped,
    "stop": lives.stopped,
    **{f"slowhttp-{name}": partial(slowhttp, name=name) for name in MODES},
}

_HEAD = (
    f"{'fault':<46}{'answered':>9}{'lost':>6}{'cut':>5}{'strangers':>11}{'admitted':>10}"
    f"{'MiB before':>12}{'after':>7}"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench, `--only` apart."""
    parser.add_argument(
        "--long",
        action="store_true",
        help="faults: more rounds, and 10 minutes of the API that comes and goes",
    )


def run(folder: Path, site: Path, cores: Cores, options: argparse.Namespace) -> bool:
    """Print the table; whether everything was as it must be."""
    stage = Stage(folder, site, cores, options.long)
    chosen = _chosen(options.only)
    print(_HEAD, flush=True)
    with on_core(cores.load):
        kept = [_put(FAULTS[name], stage, name) for name in chosen]
    bad = kept.count(False)
    print(f"\n{len(kept)} faults: " + (f"{bad} NOT KEPT" if bad else "all kept"))
    return not bad


def _chosen(parts: list[str] | None) -> list[str]:
    found = [name for name in FAULTS if not parts or any(part in name for part in parts)]
    if not found:
        raise BenchProblem(f"the faults are: {', '.join(FAULTS)}")
    return found


def _put(fault: Fault, stage: Stage, name: str) -> bool:
    rows: list[Row] = []

    async def put() -> None:
        rows.append(await fault(own))

    own = replace(stage, folder=stage.folder / name)
    own.folder.mkdir()
    try:
        asyncio.run(put())
    except BenchProblem as problem:
        print(f"{name:<46}NOT KEPT: {problem}", flush=True)
        return False
    print(_shown(rows[0]), flush=True)
    return not rows[0].faults


def _shown(row: Row) -> str:
    tally, (before, after) = row.tally, row.memory
    lines = [
        f"{row.fault:<46}{tally.answered:>9,}{tally.lost.total():>6}{tally.cut:>5}"
        f"{tally.strangers:>11,}{tally.admitted.total():>10}"
        f"{before / (1 << 20):>12.1f}{after / (1 << 20):>7.1f}",
        f"    {row.told}: {'NOT KEPT: ' + ', '.join(row.faults) if row.faults else 'kept'}",
    ]
    lines += [f"    {count} times {what}" for what, count in (tally.lost + tally.admitted).items()]
    return "\n".join(lines)
