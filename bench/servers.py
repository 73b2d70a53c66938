"""Starts the programs that are measured, and ends them whatever happens."""

import contextlib
import fcntl
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bench.machine import Cores, cpu_seconds, family, on_core, resident

START_SECONDS = 60.0
STOP_SECONDS = 20.0
SETTLE_SECONDS = 20.0
A_LOOK = 0.1
"""Seconds over which a server must have done next to nothing, to be called settled."""
PIPE_BYTES = 1 << 20
"""Between a server and what counts its lines; Linux gives no more."""
CHECKOUT = Path(__file__).resolve().parents[1]


class BenchProblem(Exception):
    """The bench cannot go on; the message is for whoever started it."""


class Absent(BenchProblem):
    """A program that is not on this machine; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What a server needs to speak https."""

    certificate: Path
    key: Path


@dataclass(slots=True)
class Server:
    """A running program that listens on 127.0.0.1, with the processes that it started."""

    pid: int
    port: int
    processes: list[int] = field(default_factory=list)
    lines: int = 0
    """Lines it logged, known once it has ended."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all its processes since their start."""
        return sum(map(cpu_seconds, self.processes))

    def settle(self) -> None:
        """Until it has worked off what it was asked for, or `SETTLE_SECONDS` have passed: who is
        measured next has the same core."""
        end = time.monotonic() + SETTLE_SECONDS
        spent, before = self.cpu_seconds, -1.0
        while spent - before > A_LOOK / 10 and time.monotonic() < end:
            time.sleep(A_LOOK)
            spent, before = self.cpu_seconds, spent

    @property
    def resident(self) -> int:
        """Bytes of memory that all its processes have now; what they share counts for each."""
        return sum(map(resident, self.processes))


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module under this Python."""
    return [sys.executable, "-m", module, *arguments]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: list[str],
    port: int,
    *,
    folder: Path,
    cores: Cores,
    checkout: Path = CHECKOUT,
    patience: float = START_SECONDS,
) -> Iterator[Server]:
    """The program, from the moment it listens. What it writes goes through a pipe to a program
    that counts the lines on the other core, as a container's log would. `patience` is for its
    start, in seconds.
    """
    with on_core(cores.load):
        counter = subprocess.Popen(["wc", "-l"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert counter.stdin is not None
    # it shares its core with the load, and comes to read only some hundred times a second
    fcntl.fcntl(counter.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    complaints = folder / f"{port}.err"
    try:
        with complaints.open("wb") as errors, on_core(cores.server):
            process = subprocess.Popen(
                command,
                cwd=checkout,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=counter.stdin,
                stderr=errors,
            )
        try:
            _await_port(process, port, complaints, patience)
            server = Server(process.pid, port, family(process.pid))
            yield server
        finally:
            _end(process)
        server.lines = int(counter.communicate(timeout=STOP_SECONDS)[0])
    finally:
        _end(counter)


@contextlib.contextmanager
def speaking(command: list[str]) -> Iterator[IO[str]]:
    """What a program says; it ends with the context, when its input does."""
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _environment() -> dict[str, str]:
    """Ours, less what would change the gate's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GATE_")}


def _await_port(
    process: subprocess.Popen[bytes], port: int, complaints: Path, patience: float
) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    said = complaints.read_text("utf-8", "replace").strip()
    raise BenchProblem(f"a server did not start: {said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    """With the names as they were written."""
    body: bytes

    def header(self, name: str) -> str:
        """One header's value, however its name is written; "" where it is missing."""
        found = (value for key, value in self.headers.items() if key.lower() == name.lower())
        return next(found, "")


def ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> Answer:
    """One GET, nothing decoded and nothing followed."""
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    return Answer(response.status, dict(response.getheaders()), response.read())
