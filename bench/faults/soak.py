"""`python -m bench soak`: half an hour of readers who come and go. What a gate keeps of them must
have a bound: memory, descriptors and tasks are looked at all the while.

What it remembers on purpose is kept small (`[cache] max_entries`), so that it is full after some
minutes and what grows after that shows.
"""

import argparse
import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.counted_gate import PERIOD, tasks_file
from bench.faults.crowd import Crowd, Tally, new_token, sign_in, sign_out
from bench.faults.trial import Gate, Stage, pages, until, warm
from bench.faults.wire import BROKEN, connect, request
from bench.machine import Cores, on_core
from bench.servers import BenchProblem, python

SETTLING, FULL = 300.0, 25_000
"""Seconds, and sessions, after which everything that has a bound has reached it: the gate remembers
up to 20,000 cookies as they came."""

SLOPE = 1.0
"""MiB a minute by which memory may grow after that."""

CHURNERS = 12
SIGN_OUTS = 0.05
"""The share of those who sign out: it is remembered for 12 hours, and so is no churn."""

TASKS_LEFT = 2
"""Tasks that may be more than before when everybody has left: what comes and goes by itself."""

DESCRIPTORS_LEFT = CHURNERS + 2
"""Descriptors: a connection to the verify API for each of those who came at the same time is kept
for a while."""

MEMORIES = """[cache]
max_entries = 2000
ttl = 60
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A look at the gate."""

    seconds: float
    sessions: int
    """Begun so far."""
    memory: int
    descriptors: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it."""

    before: Sample
    samples: Sequence[Sample]
    after: Sample
    """When everybody had left."""
    tally: Tally

    @property
    def slope(self) -> float | None:
        """MiB a minute, by least squares over what came after the settling; None where that is
        next to nothing."""
        late = [each for each in self.samples if each.seconds > SETTLING and each.sessions > FULL]
        if len(late) < 10:
            return None
        minutes = [each.seconds / 60 for each in late]
        return statistics.linear_regression(
            minutes, [each.memory / (1 << 20) for each in late]
        ).slope

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        before, after = self.before, self.after
        held = {
            "requests lost": not self.tally.lost and not self.tally.cut,
            "wrongly admitted": not self.tally.admitted,
            "nobody read": self.tally.answered > 0 and after.sessions > 0,
            "memory": self.slope is None or self.slope <= SLOPE,
            "descriptors": after.descriptors <= before.descriptors + DESCRIPTORS_LEFT,
            "tasks": after.tasks <= before.tasks + TASKS_LEFT,
        }
        return [what for what, kept in held.items() if not kept]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this bench."""
    parser.add_argument("--minutes", type=float, default=30.0, help="soak: how long (30)")


def run(folder: Path, site: Path, cores: Cores, options: argparse.Namespace) -> bool:
    """Print the figures; whether everything was as it must be."""
    print(f"{'minute':>8}{'sessions':>10}{'MiB':>9}{'descriptors':>13}{'tasks':>7}", flush=True)
    with on_core(cores.load):
        found = asyncio.run(soak(Stage(folder, site, cores), options.minutes * 60, tell=_tell))
    for what, each in ("before", found.before), ("after", found.after):
        _show(what, each)
    tally, slope = found.tally, found.slope
    grown = "too short to tell" if slope is None else f"{slope:+.2f} MiB a minute"
    print(
        f"\n{tally.answered:,} requests of readers answered, {found.after.sessions:,} sessions "
        f"begun; lost {tally.lost.total() + tally.cut}; {tally.strangers:,} strangers, "
        f"{tally.admitted.total()} admitted; memory after the first {SETTLING / 60:.0f} minutes "
        f"and {FULL:,} sessions: {grown} (at most {SLOPE}): "
        + (f"NOT KEPT: {', '.join(found.faults)}" if found.faults else "kept")
    )
    for what, count in (tally.lost + tally.admitted).items():
        print(f"    {count} times {what}")
    return not found.faults


def _tell(sample: Sample) -> None:
    _show(f"{sample.seconds / 60:.1f}", sample)


def _show(when: str, sample: Sample) -> None:
    print(
        f"{when:>8}{sample.sessions:>10,}{sample.memory / (1 << 20):>9.1f}"
        f"{sample.descriptors:>13}{sample.tasks:>7}",
        flush=True,
    )


async def soak(
    stage: Stage, seconds: float, *, tell: Callable[[Sample], None] = lambda _: None
) -> Soaked:
    """Let people come and go for so long. Raises `BenchProblem` where it cannot be measured."""
    every = max(1.0, seconds / 60)
    program = python("bench.counted_gate")
    with (
        stage.api() as (_, verify),
        stage.gate(verify, MEMORIES, program=program) as gate,
    ):
        crowd = await warm(stage, gate)
        await asyncio.sleep(2 * PERIOD)
        before, samples = await _look(gate, 0.0, 0), []
        begun, people = time.monotonic(), Churn(stage, gate, crowd)
        async with crowd.busy(), asyncio.TaskGroup() as group:
            for _ in range(CHURNERS):
                group.create_task(people.come_and_go())
            while (gone := time.monotonic() - begun) < seconds:
                await asyncio.sleep(min(every, seconds - gone))
                samples.append(await _look(gate, time.monotonic() - begun, people.sessions))
                tell(samples[-1])
            people.over = True
        after = await _rest(gate, before, people.sessions)
    return Soaked(before, samples, after, crowd.tally)


class Churn:
    """People who come in with a new token, read a little, sometimes sign out, and go."""

    def __init__(self, stage: Stage, gate: Gate, crowd: Crowd) -> None:
        self.over = False
        self.sessions = 0
        self._gate, self._crowd = gate, crowd
        self._paths = list(pages(stage.site))

    async def come_and_go(self) -> None:
        """Again and again, until it is over."""
        while not self.over:
            try:
                await self._visit()
            except (OSError, *BROKEN, BenchProblem) as problem:
                self._crowd.tally.lost[f"a visit: {problem or type(problem).__name__}"] += 1

    async def _visit(self) -> None:
        cookie = await sign_in(self._gate.port, new_token())
        self.sessions += 1
        with contextlib.closing(await connect(self._gate.port)) as connection:
            for path in random.sample(self._paths, 3):
                self._crowd.note(path, await connection.ask(request(path, cookie=cookie)))
        if random.random() < SIGN_OUTS:
            await sign_out(self._gate.port, cookie)


async def _look(gate: Gate, seconds: float, sessions: int) -> Sample:
    file = tasks_file(gate.complaints.with_suffix(".toml"))
    tasks = int(await asyncio.to_thread(file.read_text, "ascii"))
    return Sample(seconds, sessions, gate.memory, gate.descriptors, tasks)


async def _rest(gate: Gate, before: Sample, sessions: int) -> Sample:
    """Once everybody has left; as it is after a while where something stays."""

    async def is_as_before() -> bool:
        now = await _look(gate, 0.0, sessions)
        return (
            now.descriptors <= before.descriptors + DESCRIPTORS_LEFT
            and now.tasks <= before.tasks + TASKS_LEFT
        )

    with contextlib.suppress(BenchProblem):
        await until(is_as_before, "something stays", seconds=20, pause=0.5)
    return await _look(gate, 0.0, sessions)
