"""Faults of what is around the gate: its log, the clock, the verify API, the shared server."""

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import load
from bench.faults.crowd import Crowd, Stranger, new_token, sign_in
from bench.faults.trial import Gate, Process, Row, Stage, script_of, until, warm
from bench.faults.wire import BROKEN, ask_once
from bench.servers import BenchProblem, python
from bench.wrong_clock import set_offset
from tests.redis_server import PROGRAM, RedisServer

FLOODS = 60
ENOUGH = 10_000
"""Requests after which the log is in trouble: a pipe and the lines that wait take some 30,000."""

WAITING = 12 << 20
"""Bytes by which the gate may grow by lines that nobody takes: 8 MiB wait at most."""

HOUR, DAY = 3600, 86_400

PROBE, BACK = 5.0, 2.0
"""Seconds between two probes of a verify API that failed, at most, and for what follows."""

NEWCOMERS_PAUSE = 0.05


async def full_disk(stage: Stage) -> Row:
    """The access log goes to a full disk."""
    return await _log(stage, "a full disk for the access log", 'exec "$@" >/dev/full')


async def unread_pipe(stage: Stage) -> Row:
    """The access log goes to a pipe that nobody reads."""
    fifo = stage.folder / "unread"
    os.mkfifo(fifo)
    # opened for reading as well, by the gate itself, so that it is no broken pipe
    return await _log(stage, "an access log that nobody reads", f'exec "$@" 3<>{fifo} >{fifo}')


async def _log(stage: Stage, fault: str, shell: str) -> Row:
    before_it = ["sh", "-c", shell, "sh"]
    with stage.api() as (_, verify), stage.gate(verify, before=before_it) as gate:
        crowd = await warm(stage, gate)
        script = await script_of(stage, gate)
        before, flooded = gate.memory, 0
        async with crowd.busy():
            for _ in range(FLOODS):
                core = stage.cores.load
                done = await asyncio.to_thread(load.run, script, gate.port, seconds=2, core=core)
                flooded += done.requests
                if "are being lost" in gate.said and flooded > ENOUGH:
                    break
        after, said = gate.memory, gate.said
    told = said.count("are being lost")
    return Row(
        fault,
        f"{flooded:,} more requests answered; said so {told} times in the log",
        crowd.tally,
        (before, after),
        [] if told == 1 else ["said once"],
        most_growth=WAITING + (4 << 20),
    )


async def clock(stage: Stage) -> Row:
    """The wall clock goes an hour back, and right again; a day forward, and right again."""
    file = stage.folder / "clock"
    set_offset(file, 0)
    program = python("bench.wrong_clock", str(file))
    with stage.api() as (_, verify), stage.gate(verify, program=program) as gate:
        crowd = await warm(stage, gate)
        before = gate.memory
        await _while(crowd, file, -HOUR)
        crowd.cookies.append(await sign_in(gate.port, new_token()))
        await _while(crowd, file, -HOUR)
        crowd.cookies.pop()  # put right, the clock says that this one was idle for an hour
        await _while(crowd, file, 0)
        ended = [Stranger("a session of yesterday", cookie=each) for each in crowd.cookies]
        readers, crowd.strangers = crowd.cookies, crowd.strangers + ended
        set_offset(file, DAY)
        crowd.cookies = [await sign_in(gate.port, new_token()) for _ in readers]
        await _while(crowd, file, DAY)
        crowd.cookies, crowd.strangers = readers, crowd.strangers[: -len(ended)]
        await _while(crowd, file, 0)
        back = await gate.serves()
        after = gate.memory
    return Row(
        "the clock an hour back, then a day forward",
        f"{len(readers)} sessions, which must stand the hour, end on the next day, and be good "
        f"again; somebody new came in after {back:.2f} s",
        crowd.tally,
        (before, after),
    )


async def _while(crowd: Crowd, file: Path, offset: int, seconds: float = 2.0) -> None:
    set_offset(file, offset)
    async with crowd.busy():
        await asyncio.sleep(seconds)


async def flapping(stage: Stage) -> Row:
    """The verify API comes and goes, killed and hanging in turn. Verdicts are remembered for a few
    seconds only, so that readers need it all the while; `stale_if_error` lets them read on."""
    cycles = 120 if stage.long else 4
    more = "[cache]\nttl = 5\nstale_if_error = 300"
    with stage.api(patience="") as (api, verify), stage.gate(verify, more) as gate:
        crowd = await warm(stage, gate)
        before = gate.memory
        async with crowd.busy(), newcomers(gate, crowd, {303, 503}) as came:
            for number in range(cycles):
                await asyncio.sleep(2)
                await _away(api, 3.0, hang=number % 2 == 1)
            back = await gate.serves()
            await asyncio.sleep(1)
        after = gate.memory
    minutes = cycles * 5 / 60
    return Row(
        "a verify API that comes and goes",
        f"{cycles} times in {minutes:.1f} min; of those who came, {came[303]} came in and "
        f"{came[503]} were told to wait; the next came in {back:.1f} s after its return",
        crowd.tally,
        (before, after),
        [] if back <= PROBE + BACK else ["back too late"],
        most_growth=(16 << 20) + came[303] * 2048,
    )


async def _away(api: Process, seconds: float, *, hang: bool) -> None:
    if not hang:
        api.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(api.start)
        return
    assert api.server is not None
    os.kill(api.server.pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.kill(api.server.pid, signal.SIGCONT)


async def shared(stage: Stage) -> Row:
    """The shared server is killed, and is back empty, again and again. Verdicts are remembered for
    a few seconds only, so that everybody needs it or the verify API."""
    if PROGRAM is None:
        raise BenchProblem("a Redis server is needed: apt-get install redis-server")
    redis = RedisServer(stage.folder)
    await redis.start()
    key = secrets.token_urlsafe(32) + "="
    more = f'[cache]\nttl = 5\nshared_url = "{redis.url}"\n[session]\nkeys = ["{key}"]'
    cycles = 10 if stage.long else 3
    try:
        with stage.api() as (_, verify), stage.gate(verify, more) as gate:
            crowd = await warm(stage, gate)
            before = gate.memory
            async with crowd.busy(), newcomers(gate, crowd, {303}) as came:
                for _ in range(cycles):
                    await asyncio.sleep(1)
                    await redis.kill()
                    await asyncio.sleep(2)
                    await redis.start()
                    await until(lambda: _ready(gate), "the shared server is not used again")
            after, said = gate.memory, gate.said
    finally:
        await redis.kill()
    gone, back = said.count("shared server is gone"), said.count("shared server is back")
    return Row(
        "Redis killed",
        f"{cycles} times; said {gone} times that it was gone and {back} times that it was back; "
        f"{came[303]} came in meanwhile",
        crowd.tally,
        (before, after),
        [] if gone == back == cycles else ["said once each"],
    )


async def _ready(gate: Gate) -> bool:
    return gate.said.count("shared server is back") == gate.said.count("shared server is gone")


@asynccontextmanager
async def newcomers(gate: Gate, crowd: Crowd, allowed: set[int]) -> AsyncIterator[Counter[int]]:
    """People with new tokens, who come all the while. Afterwards it is known what they got; what
    is not allowed counts as lost."""
    came: Counter[int] = Counter()
    over = asyncio.Event()

    async def come() -> None:
        while not over.is_set():
            try:
                status = (await ask_once(gate.port, f"/?token={new_token()}")).status
            except (OSError, *BROKEN):
                status = 0
            came[status] += 1
            if status not in allowed:
                crowd.tally.lost[f"a newcomer got {status or 'no answer'}"] += 1
            await asyncio.sleep(NEWCOMERS_PAUSE)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):  # one waits while the API hangs, and the others come all the same
            group.create_task(come())
        try:
            yield came
        finally:
            over.set()
