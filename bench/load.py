"""Load from wrk: starts it, and reads what it measured."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.machine import on_core
from bench.scenarios import CONNECTIONS
from bench.servers import BenchProblem

PATIENCE = 10
"""Seconds that wrk waits for an answer: a machine that does other work too is no reason to stop."""

INSTALL = "the bench needs wrk, from your system's packages: apt-get install wrk"


@dataclass(frozen=True, slots=True)
class Load:
    """What the other end of the wire saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


def check() -> None:
    """Raises `BenchProblem` where a program is missing."""
    if shutil.which("wrk") is None:
        raise BenchProblem(INSTALL)


def run(
    script: Path,
    port: int,
    *,
    seconds: int,
    core: int | None,
    refused: bool = False,
    connections: int = CONNECTIONS,
    secure: bool = False,
) -> Load:
    """One thread. Raises `BenchProblem` unless every answer was a good one, or, where `refused`,
    unless none was."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={PATIENCE}s"]
    address = f"{'https' if secure else 'http'}://127.0.0.1:{port}/"
    with on_core(core):
        done = subprocess.run(
            [*command, "-s", str(script), address],
            capture_output=True,
            text=True,
            timeout=seconds + 3 * PATIENCE,
            check=False,
        )
    if done.returncode:
        raise BenchProblem(f"wrk failed: {done.stderr or done.stdout}")
    return read(done.stdout, script.stem, refused=refused)


def read(output: str, name: str, *, refused: bool = False) -> Load:
    """What wrk found, from the last line of what it printed."""
    _, brace, report = output.rpartition("{")
    if not brace:
        raise BenchProblem(f"wrk reported nothing: {output}")
    figures = json.loads(brace + report)
    due = figures["requests"] if refused else 0
    if figures["statuses"] != due or figures["broken"] or not figures["requests"]:
        raise BenchProblem(f"{name}: not every request was answered well: {figures}")
    return Load(
        figures["requests"],
        figures["micros"] / 1e6,
        figures["p50_micros"] / 1000,
        figures["p99_micros"] / 1000,
    )
