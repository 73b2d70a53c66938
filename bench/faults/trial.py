"""The stage of one fault: a real verify API, a real gate, and what can be seen of them."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import scripts
from bench.faults.crowd import SECRET, Crowd, Tally, new_token, sign_in
from bench.faults.wire import HOST, Answer
from bench.gates import SERVE, running_gate
from bench.machine import Cores, resident
from bench.servers import BenchProblem, Server, free_port, python, running

MOST_GROWTH = 16 << 20
"""Bytes by which the gate may have grown once a fault is over: no more than noise."""

PATIENT = "timeout = 30\nconnect_timeout = 30"
"""A machine that has other work too makes no outage of the verify API."""

SECONDS = 60.0
"""The longest wait for something that is to happen."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one fault."""

    fault: str
    told: str
    """What was done, and what was seen."""
    tally: Tally
    memory: tuple[int, int]
    """Bytes of the gate's processes, before and after."""
    broken: list[str] = field(default_factory=list)
    """What is not as it must be, beside what the tally says."""
    cuts: bool = False
    """Whether connections may break, because the process that held them was killed."""
    most_growth: int = MOST_GROWTH

    @property
    def faults(self) -> list[str]:
        """Everything that is not as it must be."""
        before, after = self.memory
        held = {
            "requests lost": not self.tally.lost,
            "wrongly admitted": not self.tally.admitted,
            "connections cut": self.cuts or not self.tally.cut,
            "nobody read": self.tally.answered > 0,
            "no stranger asked": self.tally.strangers > 0,
            "memory": after - before <= self.most_growth,
        }
        return [what for what, kept in held.items() if not kept] + self.broken


class Process:
    """A program that can be ended and started again: the verify API, say."""

    def __init__(self, start: Callable[[], contextlib.AbstractContextManager[Server]]) -> None:
        self._start = start
        self._context = contextlib.ExitStack()
        self.server: Server | None = None

    def start(self) -> Server:
        """Start it, and wait until it listens."""
        self.server = self._context.enter_context(self._start())
        return self.server

    def kill(self) -> None:
        """End it without a word."""
        if self.server is not None:
            os.kill(self.server.pid, signal.SIGKILL)
            self.close()

    def close(self) -> None:
        """End it, if it runs."""
        self.server = None
        self._context.close()


@dataclass(slots=True)
class Stage:
    """What every fault needs."""

    folder: Path
    site: Path
    cores: Cores
    long: bool = False
    minutes: float = 30.0

    @contextlib.contextmanager
    def api(self, patience: str = PATIENT) -> Iterator[tuple[Process, str]]:
        """A verify API, and the TOML of the `[verify]` section for it, with `patience`."""
        port = free_port()
        command = python("bench.verify_api", str(port))
        beside = Cores(self.cores.load, self.cores.load)
        process = Process(
            lambda: running(command, port, folder=self.folder, cores=beside, patience=SECONDS)
        )
        process.start()
        try:
            url = f"http://127.0.0.1:{port}/judged"
            yield process, f'url = "{url}"\nactive = "/active"\n{patience}'
        finally:
            process.close()

    @contextlib.contextmanager
    def gate(
        self,
        verify: str,
        more: str = "",
        *,
        before: Sequence[str] = (),
        program: Sequence[str] = SERVE,
        site: Path | None = None,
        port: int = 0,
        **environ: str,
    ) -> Iterator["Gate"]:
        """A gate; `before` is a command that starts it, `environ` are settings, as in
        `server__workers="2"`. Refused tokens have no limit, so that strangers are judged each
        time and not merely told to wait."""
        given = [f"GATE_{name.upper()}={value}" for name, value in environ.items()]
        limits = "failures_per_client = 0\nfailures_per_address = 0\nfailures_in_all = 0"
        rest = f'{more}\n[limits]\n{limits}\n[revoke]\nsecret = "{SECRET}"'
        command = ["env", *given, *before, *program]
        with running_gate(
            self.folder,
            site or self.site,
            self.cores,
            verify,
            rest,
            program=command,
            port=port,
            patience=SECONDS,
        ) as server:
            yield Gate(server, self.folder / f"{server.port}.err")


def crowd_of(site: Path, port: int, source: str) -> Crowd:
    """People who read some pages of a site, and know what is to come."""
    bodies = pages(site)

    def judge(path: str, answer: Answer) -> str:
        if answer.status != 200:
            return f"a reader got {answer.status}"
        return "" if answer.body == bodies[path] else "a reader got something else"

    return Crowd(port, list(bodies), judge, source=source)


async def warm(stage: Stage, gate: "Gate", source: str = "127.0.0.1") -> Crowd:
    """People who have read for a moment, so that what a gate does once is not the fault's doing."""
    crowd = crowd_of(stage.site, gate.port, source)
    await crowd.gather()
    async with crowd.busy():
        await asyncio.sleep(1)
    return crowd


async def script_of(stage: Stage, gate: "Gate") -> Path:
    """A script for wrk, with a hundred more readers in turn."""
    script = stage.folder / "readers.lua"
    cookies = [await sign_in(gate.port, new_token()) for _ in range(100)]
    scripts.write_reading(script, [("/", {"Host": HOST})], cookies)
    return script


def pages(site: Path) -> dict[str, bytes]:
    """Some paths of a site with what is to come there, without encoding."""
    found = sorted(site.glob("*/index.html"))[:6]
    files = [site / "index.html", *found, *sorted(site.rglob("*.css"))[:2]]
    paths = (f"/{file.relative_to(site).as_posix()}".removesuffix("index.html") for file in files)
    return {path: file.read_bytes() for path, file in zip(paths, files, strict=True)}


@dataclass(frozen=True, slots=True)
class Gate:
    """A running gate."""

    server: Server
    complaints: Path
    """What it wrote to standard error."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    @property
    def workers(self) -> set[int]:
        """The processes that it started."""
        pid = self.server.pid
        try:
            return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        except FileNotFoundError:
            return set()

    @property
    def memory(self) -> int:
        """Bytes of all its processes."""
        total = 0
        for pid in (self.server.pid, *self.workers):
            with contextlib.suppress(OSError):
                total += resident(pid)
        return total

    @property
    def descriptors(self) -> int:
        """Open ones, of the first process."""
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    @property
    def said(self) -> str:
        """What it wrote to standard error so far."""
        return self.complaints.read_text("utf-8", "replace")

    async def serves(self, source: str = "127.0.0.1") -> float:
        """Seconds until somebody new comes in."""
        begun = time.monotonic()

        async def comes_in() -> bool:
            try:
                await sign_in(self.port, new_token(), source)
            except (OSError, EOFError, BenchProblem):
                return False
            return True

        await until(comes_in, "nobody new could come in")
        return time.monotonic() - begun


async def until(
    holds: Callable[[], object], what: str, *, seconds: float = SECONDS, pause: float = 0.02
) -> float:
    """Wait until something holds; how long that took. Raises `BenchProblem`, saying `what`."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return time.monotonic() - begun
        await asyncio.sleep(pause)
    raise BenchProblem(what)
