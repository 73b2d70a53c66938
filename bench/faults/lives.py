"""Faults in the life of the gate: a worker killed, the site swapped, a stop under load."""

import asyncio
import os
import re
import shutil
import signal
from functools import partial
from pathlib import Path

from bench.faults.crowd import Crowd, new_token, sign_in
from bench.faults.trial import Gate, Row, Stage, until, warm
from bench.faults.wire import Answer, ask_once

KILLS, SWAPS, STOPS = 6, 50, 20
PAGES = 20
STREAMED = 3 << 20
"""Bytes of the file that is sent from disk."""


async def killed(stage: Stage) -> Row:
    """A worker is killed, again and again."""
    with stage.api() as (_, verify), stage.gate(verify, server__workers="2") as gate:
        await until(lambda: len(gate.workers) == 2, "there are no two workers")
        crowd = await warm(stage, gate)
        before, latest = gate.memory, 0.0
        async with crowd.busy():
            for number in range(KILLS):
                await asyncio.sleep(1)
                old = gate.workers
                os.kill(sorted(old)[number % 2], signal.SIGKILL)
                replaced = await until(partial(_replaced, gate, old), "no worker came instead")
                latest = max(latest, replaced)
            await asyncio.sleep(1)
        after = gate.memory
    return Row(
        "a worker killed, of two",
        f"{KILLS} times; replaced after {latest:.2f} s at the latest",
        crowd.tally,
        (before, after),
        [] if latest <= 5 else ["replaced too late"],
        cuts=True,
    )


def _replaced(gate: Gate, old: set[int]) -> bool:
    return len(gate.workers) == 2 and gate.workers != old


async def swapped(stage: Stage) -> Row:
    """The site is swapped, by a link that is turned: mostly by SIGHUP, some times noticed."""
    site = stage.folder / "swapped"
    _turn(site, 0)
    with (
        stage.api() as (_, verify),
        stage.gate(verify, site=site, server__workers="2", site__memory_mib="2") as gate,
    ):
        crowd = Crowd(gate.port, [f"/p{n}/" for n in range(PAGES)] + ["/large.bin"], _judge)
        await crowd.gather()
        cookie = await sign_in(gate.port, new_token())
        before, noticed = 0, 0
        async with crowd.busy():
            for number in range(1, SWAPS + 1):
                _turn(site, number)
                if number % 10:
                    os.kill(gate.server.pid, signal.SIGHUP)
                noticed += number % 10 == 0
                await until(partial(_serves, gate, cookie, number), "a build is not served")
                if number == 10:  # by then there were two builds at a time
                    before = gate.memory
        after = gate.memory
    return Row(
        f"the site swapped {SWAPS} times",
        f"{SWAPS - noticed} times by SIGHUP, {noticed} times noticed, by two workers",
        crowd.tally,
        (before, after),
    )


async def _serves(gate: Gate, cookie: str, number: int) -> bool:
    """Whether a page is of this build, several times, as there are several workers."""
    for _ in range(6):
        answer = await ask_once(gate.port, "/p0/", cookie=cookie)
        if _words(answer.body) != {b"build%d" % number}:
            return False
    return True


def _turn(link: Path, number: int) -> None:
    """A new build in a folder of its own, and the link turned to it at one moment."""
    folder = link.with_name(f"build-{number}")
    folder.mkdir()
    word = f"build{number} "
    links = "".join(f'<a href="/p{n}/">{n}</a>' for n in range(PAGES))
    page = f"<!doctype html><html><title>{word}</title>{links}{word * 500}</html>"
    (folder / "index.html").write_text(page)
    for n in range(PAGES):
        (folder / f"p{n}").mkdir()
        (folder / f"p{n}" / "index.html").write_text(page)
    (folder / "large.bin").write_bytes(word.encode() * (STREAMED // len(word)))
    turned = link.with_name("turned")
    turned.symlink_to(folder)
    turned.replace(link)
    if number > 1:
        shutil.rmtree(link.with_name(f"build-{number - 2}"))


def _words(body: bytes) -> set[bytes]:
    return set(re.findall(rb"build\d+", body))


def _judge(path: str, answer: Answer) -> str:
    if answer.status != 200:
        return f"a reader got {answer.status} for {'a file' if '.' in path else 'a page'}"
    return "" if len(_words(answer.body)) == 1 else "a mixed answer"


async def stopped(stage: Stage) -> Row:
    """SIGTERM, again and again, under load; the next gate takes the same port."""
    crowd: Crowd | None = None
    port, memories, logged, said = 0, [], 0, ""
    with stage.api() as (_, verify):
        for _ in range(STOPS):
            with stage.gate(verify, port=port) as gate:
                port = gate.port
                if crowd is None:
                    crowd = await warm(stage, gate)
                async with crowd.busy():
                    await asyncio.sleep(0.5)
                    memories.append(gate.memory)
                    os.kill(gate.server.pid, signal.SIGTERM)
                    await until(partial(_has_ended, gate), "the gate does not end")
                said += gate.said
            logged += gate.server.lines
    assert crowd is not None
    answers = crowd.tally.answered + crowd.tally.strangers
    return Row(
        "SIGTERM under load",
        f"{STOPS} times; {logged:,} lines in the log for {answers:,} answers and the first start",
        crowd.tally,
        (memories[0], memories[-1]),
        [
            *(["a traceback"] if "Traceback" in said else []),
            *(["answers missing in the log"] if logged < answers else []),
        ],
    )


def _has_ended(gate: Gate) -> bool:
    try:
        stat = Path(f"/proc/{gate.server.pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"
