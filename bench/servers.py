"""Starts the programs that are measured, and ends them whatever happens."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Cores, on_core

START_SECONDS = 10.0
STOP_SECONDS = 5.0
CHECKOUT = Path(__file__).resolve().parents[1]


class BenchProblem(Exception):
    """The bench cannot go on; the message is for whoever started it."""


@dataclass(slots=True)
class Server:
    """A running program that listens on 127.0.0.1."""

    pid: int
    port: int
    lines: int = 0
    """Lines it logged, known once it has ended."""


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
            server = Server(process.pid, port)
            _await_port(process, port, complaints, patience)
            yield server
        finally:
            _end(process)
        server.lines = int(counter.communicate(timeout=STOP_SECONDS)[0])
    finally:
        _end(counter)


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
