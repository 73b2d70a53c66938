"""10,000 idle connections: how much memory they cost. Each has asked for the hot page once."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from bench.contenders import Field, bare_like, enter, gate, nginx_like
from bench.load import run
from bench.machine import on_core
from bench.names import BARE, NGINX
from bench.results import Row, Sample, Table
from bench.rounds import MIB, Rounds
from bench.scenarios import HOT
from bench.servers import BenchProblem, python, speaking
from bench.stage import Contender, Stage

NAME = "idle connections"
CONNECTIONS = 10_000
_WARM_SECONDS = 2
SAYS = (
    f"{CONNECTIONS:,} open connections on which nothing happens, after one request each, beside "
    "the same server without them."
)


def measure(stage: Stage, rounds: Rounds) -> Table:
    """One round: what was once allocated stays, and the second would cost nothing."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stage.verify_api())
        model = stack.enter_context(gate(stage, url))
        found = Field([model])
        enter(stack, found, BARE, bare_like(stage, model))
        enter(stack, found, NGINX, nginx_like(stage, url, model))
        rows = []
        for each in found.running:
            rounds.tell(f"{NAME}: {each.name}")
            rows.append(Row(each.name, [_sample(rounds, each, stage.folder)]))
    return Table(NAME, SAYS, [*rows, *_absent(found)], compared="above_mib")


def _absent(found: Field) -> Sequence[Row]:
    return [Row(name, [], why) for name, why in found.absent.items()]


def _sample(rounds: Rounds, contender: Contender, folder: Path) -> Sample:
    server = contender.server
    # what a busy server has anyway must not be taken for the connections'
    load = run(contender.scripts[HOT], server.port, seconds=_WARM_SECONDS, core=rounds.cores.load)
    contender.answered += load.requests + CONNECTIONS
    before = server.resident
    request = folder / "idle.request"
    request.write_bytes(contender.requests[HOT].encode("ascii"))
    command = python("bench.holder", str(server.port), str(request), str(CONNECTIONS))
    with on_core(rounds.cores.load), speaking(command) as holder:
        if holder.readline() != "held\n":
            raise BenchProblem(f"{contender.name} did not answer on every connection")
        held = server.resident
    return {"before_mib": before / MIB, "above_mib": (held - before) / MIB}
