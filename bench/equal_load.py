"""p99 at equal load: both are asked at the rate that is `SHARE` of nginx's best.

wrk asks as fast as it can and knows no rate, so the requests come from a program of our own
(bench.paced): at random moments that do not wait for the answers, as readers' do.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.machine import on_core
from bench.names import NGINX
from bench.results import Row, Sample, Table
from bench.rounds import MIB, Rounds
from bench.scenarios import CONNECTIONS, HOT
from bench.servers import CHECKOUT, BenchProblem, python
from bench.stage import Contender

NAME = "equal load"
SHARE = 0.7
ROUNDS = 7
SECONDS = 2

ROOM = 0.9
"""Of its own best rate somebody can be asked for at most: beyond it the queue only grows."""


def measure(
    rounds: Rounds, contenders: Sequence[Contender], hot: Sequence[Row], folder: Path
) -> Table:
    """`hot` are the figures of the hot page, by wrk."""
    best = {row.contender: row.median("rate") for row in hot if row.samples}
    if NGINX not in best:
        rows = [Row(each.name, [], "not measured without nginx") for each in contenders]
        return Table(NAME, "The hot page at the same rate for everybody.", rows)
    rate = int(SHARE * best[NGINX])
    able = [each for each in contenders if best.get(each.name, 0) * ROOM > rate]
    found: dict[str, list[Sample]] = {each.name: [] for each in able}
    for number in range(rounds.rounds or ROUNDS):
        rounds.tell(f"{NAME}: round {number + 1}")
        for each in able:
            found[each.name].append(_sample(rounds, each, rate, folder))
    rows = [
        Row(name, found[name])
        if name in found
        else Row(name, [], f"cannot keep up: {most:,.0f} a second at its best")
        for name, most in best.items()
    ]
    says = (
        f"The hot page, asked for {rate:,} times a second at random moments: {SHARE:.0%} of the "
        "most that nginx can do. The time counts from the moment when a request was due."
    )
    return Table(NAME, says, rows, compared="p99_ms")


def _sample(rounds: Rounds, contender: Contender, rate: int, folder: Path) -> Sample:
    server = contender.server
    request = folder / "paced.request"
    request.write_bytes(contender.requests[HOT].encode("ascii"))
    command = python(
        "bench.paced", str(server.port), str(request), str(rate), str(SECONDS), str(CONNECTIONS)
    )
    before = server.cpu_seconds
    with on_core(rounds.cores.load):
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchProblem(f"the paced client failed: {done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    contender.answered += int(figures["requests"])
    return {
        "micros": (server.cpu_seconds - before) / figures["requests"] * 1e6,
        "rate": figures["rate"],
        "p50_ms": figures["p50_ms"],
        "p99_ms": figures["p99_ms"],
        "rss_mib": server.resident / MIB,
    }
