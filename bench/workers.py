"""What a second worker adds: `[server] workers = 2` beside one.

On two cores the load takes its share of what the workers have, so that requests a second say
little. What a machine with cores enough would do follows from the processor time: the workers
share nothing, and each has all of its core to give. How long the busiest of them was busy says
nothing here: it is the one whose core the load uses less.
"""

import contextlib
from dataclasses import replace

from bench.contenders import gate
from bench.limits import ONE_WORKER, TWO_WORKERS
from bench.load import run
from bench.machine import Cores, cpu_seconds
from bench.results import Row, Sample, Table
from bench.rounds import MIB, Rounds
from bench.scenarios import HOT
from bench.stage import Contender, Stage

NAME = "workers"
ROUNDS = 7
SAYS = (
    "The hot page by one worker process and by two, on all cores, which the load shares. The "
    "second column is what they could answer with a core for each, by the processor time that a "
    "request takes: what a machine with more cores does."
)


def measure(stage: Stage, rounds: Rounds) -> Table:
    """On every core."""
    wide = replace(stage, cores=Cores(None, None))
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(wide.verify_api())
        one = stack.enter_context(gate(wide, url, name=ONE_WORKER))
        two = stack.enter_context(gate(wide, url, name=TWO_WORKERS, more="workers = 2"))
        found: dict[str, list[Sample]] = {ONE_WORKER: [], TWO_WORKERS: []}
        for number in range(rounds.rounds or ROUNDS):
            rounds.tell(f"{NAME}: round {number + 1}")
            for each in (one, two):
                found[each.name].append(_sample(each, rounds.seconds))
    return Table(
        NAME, SAYS, [Row(name, samples) for name, samples in found.items()], compared="capacity"
    )


def _sample(contender: Contender, seconds: int) -> Sample:
    server = contender.server
    before = [cpu_seconds(pid) for pid in server.processes]
    load = run(contender.scripts[HOT], server.port, seconds=seconds, core=None)
    after = [cpu_seconds(pid) for pid in server.processes]
    contender.answered += load.requests
    spent = [end - start for start, end in zip(before, after, strict=True)]
    workers = max(1, len(spent) - 1)  # one of several processes minds the others
    return {
        "micros": sum(spent) / load.requests * 1e6,
        "rate": load.requests / load.seconds,
        "capacity": load.requests / sum(spent) * workers,
        "rss_mib": server.resident / MIB,
    }
