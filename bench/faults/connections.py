"""Faults that clients make by their connections: too many, stalled, idle, slow."""

import asyncio
import contextlib
import os
import resource
import shutil
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import load
from bench.faults.crowd import Crowd, new_token, sign_in, wanted
from bench.faults.trial import Gate, Row, Stage, script_of, until, warm
from bench.faults.wire import BROKEN, HOST, Connection, ask_once, connect, request
from bench.machine import forget_peak, peak
from bench.servers import BenchProblem

BACK = 2.0
"""Seconds within which the gate serves somebody new once a crowd has left."""

P99 = 2.0
"""How many times the undisturbed p99 that of readers may be."""

AT_ONCE = 200
"""Connections that are made at the same time."""

PER_ADDRESS = 900
"""Connections from one address: the gate allows 1,000."""

DESCRIPTORS, CLIENTS = 96, 600
STALLED = 1000
IDLE = 10_000
SPARE = 500
"""Descriptors of ours for all else."""

A_CONNECTION = 32 << 10
"""Bytes that an idle connection may cost."""

SLOW, LARGE = 100, 32 << 20
A_SLOW_READER = 1 << 20
"""Bytes that somebody who reads slowly may cost."""


async def descriptors(stage: Stage) -> Row:
    """More clients than descriptors, in waves; then all of them leave."""
    limit = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    with stage.api() as (_, verify), stage.gate(verify, before=limit) as gate:
        crowd = await warm(stage, gate)
        before, most = gate.memory, 0
        async with crowd.busy():
            for _ in range(3):
                async with _connected(gate.port, CLIENTS, at_once=CLIENTS):
                    most = max(most, gate.descriptors)
                    await asyncio.sleep(1)
            back = await gate.serves("127.0.0.9")
            await asyncio.sleep(1)
        after = gate.memory
    return Row(
        f"{CLIENTS} clients, {DESCRIPTORS} descriptors",
        f"{most} in use; somebody new was served {back:.2f} s after they left",
        crowd.tally,
        (before, after),
        [] if back <= BACK else ["back too late"],
    )


async def stalled(stage: Stage) -> Row:
    """A thousand clients in the middle of a header and a thousand in that of a form, every other
    round, beside readers who ask as fast as they are answered."""
    rounds = 25 if stage.long else 15
    # the limit is to stand back until the round is over, on any machine
    with stage.api() as (_, verify), stage.gate(verify, server__header_timeout="120") as gate:
        crowd = await warm(stage, gate)
        script = await script_of(stage, gate)
        ratios = []
        async with crowd.busy():
            await _disturbed(stage, gate, script)  # what the first crowd needs, the next has
            before = gate.memory
            for number in range(rounds):
                first = await _p99(stage, gate, script) if number % 2 else 0.0
                disturbed = await _disturbed(stage, gate, script)
                ratios.append(disturbed / (first or await _p99(stage, gate, script)))
        after = gate.memory
    ratio = statistics.median(ratios)
    return Row(
        f"{STALLED:,} stalled in the header, {STALLED:,} in a form",
        f"readers' p99 {ratio:.2f} times the undisturbed (median of {rounds} rounds)",
        crowd.tally,
        (before, after),
        [] if ratio <= P99 else ["p99"],
    )


async def _disturbed(stage: Stage, gate: Gate, script: Path) -> float:
    async with (
        _connected(gate.port, STALLED, b"GET / HTTP/1.1\r\nHost: docs.exam", first=2),
        _connected(gate.port, STALLED, _FORM, first=12),
    ):
        await until(lambda: gate.descriptors > 2 * STALLED, "not all of them are connected")
        await asyncio.sleep(0.5)
        p99 = await _p99(stage, gate, script)
        if gate.descriptors < 2 * STALLED:
            raise BenchProblem("the gate let go of them before the end of the round")
    await _left(gate)
    return p99


_FORM = (
    request(
        "/-/session",
        method="POST",
        Origin=f"https://{HOST}",
        Content_Type="application/x-www-form-urlencoded",
        Content_Length="200",
    )
    + b"token=rea"
)


async def idle(stage: Stage) -> Row:
    """Ten thousand connections that asked once and stay, and then as many others: with them the
    gate may hold no more than with the first. What it holds in between says little, as the memory
    of a crowd that left is room for the next, and more or less of it goes back to the system."""
    count = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)
    with stage.api() as (_, verify), stage.gate(verify, server__keepalive_timeout="600") as gate:
        crowd = await warm(stage, gate)
        async with crowd.busy():
            empty = gate.memory
            async with _connected(gate.port, count, _HEALTHY):
                each = (gate.memory - empty) / count
                first = await _new_request(gate)
                before = gate.memory
            await _left(gate)
            async with _connected(gate.port, count, _HEALTHY):
                await asyncio.sleep(1)
                after = gate.memory
            await _left(gate)
    broken = [] if each <= A_CONNECTION else ["memory of a connection"]
    return Row(
        f"{count:,} idle connections",
        f"{each / 1024:.1f} KiB each; a new request is answered in {first * 1000:.0f} ms",
        crowd.tally,
        (before, after),
        broken,
    )


_HEALTHY = request("/-/healthz")


async def slow(stage: Stage) -> Row:
    """A hundred readers who take a few bytes a second of a large file, in memory and on disk."""
    site = await asyncio.to_thread(_with_large_file, stage)
    rows = [await _slow(stage, site, held) for held in ("256", "8")]
    costs = " and ".join(f"{cost / 1024:.0f}" for _, cost in rows)
    tally = rows[0][0].tally
    tally.add(rows[1][0].tally)
    return Row(
        f"{SLOW} slow readers of {LARGE >> 20} MiB",
        f"{costs} KiB each at the most, from memory and from disk",
        tally,
        rows[1][0].memory,
        [] if max(cost for _, cost in rows) <= A_SLOW_READER else ["memory of a slow reader"],
    )


async def _slow(stage: Stage, site: Path, memory_mib: str) -> tuple[Row, float]:
    """What came of it, and the bytes that one of them cost."""
    with (
        stage.api() as (_, verify),
        stage.gate(verify, site=site, site__memory_mib=memory_mib) as gate,
    ):
        crowd = await warm(stage, gate)
        cookie = await sign_in(gate.port, new_token())
        empty = gate.memory
        forget_peak(gate.server.pid)
        await _slow_crowd(gate, crowd, cookie, 2)  # what the first crowd needs, the next has
        before = gate.memory
        await _slow_crowd(gate, crowd, cookie, 20 if stage.long else 8)
        cost = (peak(gate.server.pid) - empty) / SLOW
        return Row("", "", crowd.tally, (before, gate.memory)), cost


async def _slow_crowd(gate: Gate, crowd: Crowd, cookie: str, seconds: int) -> None:
    asking = request("/large.bin", cookie=cookie)
    async with crowd.busy(), _connected(gate.port, SLOW, asking, small=True) as readers:
        for _ in range(seconds * 2):
            for each in readers:
                await each.reader.read(2)
            await asyncio.sleep(0.5)
    await _left(gate)


def _with_large_file(stage: Stage) -> Path:
    site = shutil.copytree(stage.site, stage.folder / "large-site")
    (site / "large.bin").write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    return site


@asynccontextmanager
async def _connected(
    port: int,
    count: int,
    sent: bytes = b"",
    *,
    first: int = 2,
    small: bool = False,
    at_once: int = AT_ONCE,
) -> AsyncIterator[list[Connection]]:
    """So many connections that have sent this, from as many addresses as it takes; they who are
    sent away are not in the list."""
    room = asyncio.Semaphore(at_once)

    async def one(number: int) -> Connection | None:
        async with room:
            try:
                source = f"127.0.0.{first + number // PER_ADDRESS}"
                connection = await connect(port, source, small=small)
                connection.writer.write(sent)
                if sent.endswith(b"\r\n\r\n"):
                    await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), 30)
            except (OSError, *BROKEN):
                return None
            return connection

    found = await asyncio.gather(*(one(number) for number in range(count)))
    connections = [each for each in found if each is not None]
    if sent and len(connections) < count:
        raise BenchProblem(f"of {count} clients only {len(connections)} could connect")
    try:
        yield connections
    finally:
        for each in connections:
            each.close()


async def _left(gate: Gate) -> None:
    """Until the gate has let go of a crowd."""
    await until(lambda: gate.descriptors < 100, "connections are not let go of")
    await asyncio.sleep(0.5)


async def _p99(stage: Stage, gate: Gate, script: Path) -> float:
    core = stage.cores.load
    done = await asyncio.to_thread(load.run, script, gate.port, seconds=1, core=core)
    return done.p99_ms


async def _new_request(gate: Gate) -> float:
    """Seconds that one on a connection of its own takes: the median."""
    waits = []
    for _ in range(20):
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            wanted(await ask_once(gate.port, "/-/healthz"), 200, "a question about health")
        waits.append(time.monotonic() - begun)
    return statistics.median(waits)
