"""What a request costs with 10 and with 100,000 sessions known.

Two real gates, each of which has been read by all of its readers; then the same ten go on reading,
in interleaved rounds. A cost that grows with what is remembered shows in the ratio.
"""

import contextlib
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench import load, scripts
from bench.gates import warm_gate
from bench.limits import FEW_KNOWN, MANY_KNOWN
from bench.results import Row, Sample, Table
from bench.rounds import MIB, Rounds
from bench.scenarios import HOT, Scenario
from bench.servers import Server
from bench.stage import Stage

NAME = "sessions"
FEW, MANY = 10, 100_000
EVERYBODY = "100,000 sessions, all in turn"
ROUNDS = 11
_FIRST_READ_SECONDS = 5
_ROOM = 1.3
"""How much longer everybody's reading is given than it is expected to take."""

SAYS = (
    "The hot page, read by the same ten readers, by a gate that knows ten sessions and by one that "
    "knows 100,000. The last row has all 100,000 reading in turn, each a single page: then most "
    "cookies are ones that the gate has not opened lately."
)


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    server: Server
    script: Path


def measure(stage: Stage, rounds: Rounds) -> Table:
    """The verdicts are there from the start; the sessions become known by being read."""
    hot = next(each for each in stage.scenarios if each.name == HOT)
    with contextlib.ExitStack() as stack:
        few, few_cookies = stack.enter_context(_gate(stage, FEW))
        many, many_cookies = stack.enter_context(_gate(stage, MANY))
        asked = [
            _asked(stage, FEW_KNOWN, few, hot, few_cookies),
            _asked(stage, MANY_KNOWN, many, hot, many_cookies[:FEW]),
            _asked(stage, EVERYBODY, many, hot, many_cookies),
        ]
        _read_once(asked[-1], rounds)
        found: dict[str, list[Sample]] = {each.name: [] for each in asked}
        for number in range(rounds.rounds or ROUNDS):
            rounds.tell(f"{NAME}: round {number + 1}")
            for each in asked:
                found[each.name].append(_sample(each, rounds, rounds.seconds))
    return Table(NAME, SAYS, [Row(name, samples) for name, samples in found.items()])


def _gate(stage: Stage, readers: int) -> AbstractContextManager[tuple[Server, list[str]]]:
    return warm_gate(
        stage.folder,
        stage.site,
        stage.cores,
        verdicts=readers,
        cookies=readers,
        cache="ttl = 7200",  # longer than the bench
    )


def _asked(
    stage: Stage, name: str, server: Server, hot: Scenario, cookies: Sequence[str]
) -> _Asked:
    script = stage.folder / f"{server.port}-{len(cookies)}.lua"
    scripts.write_reading(script, hot.asked, cookies)
    return _Asked(name, server, script)


def _read_once(asked: _Asked, rounds: Rounds) -> None:
    """Until each of the readers has had the page, in one go."""
    read, seconds = 0, _FIRST_READ_SECONDS
    while read < MANY:
        rounds.tell(f"{NAME}: everybody reads once, {seconds} s")
        found = load.run(asked.script, asked.server.port, seconds=seconds, core=rounds.cores.load)
        read = found.requests
        seconds = math.ceil(MANY / read * found.seconds * _ROOM)


def _sample(asked: _Asked, rounds: Rounds, seconds: int) -> Sample:
    server = asked.server
    before = server.cpu_seconds
    found = load.run(asked.script, server.port, seconds=seconds, core=rounds.cores.load)
    return {
        "micros": (server.cpu_seconds - before) / found.requests * 1e6,
        "rate": found.requests / found.seconds,
        "p50_ms": found.p50_ms,
        "p99_ms": found.p99_ms,
        "rss_mib": server.resident / MIB,
    }
