"""How much the gate remembers: `python -m bench memory`.

A million random tokens must leave next to nothing behind, and a million good verdicts no more than
they are worth. The rooms that remember are measured alone; a real gate is the cross-check.
"""

import json
import subprocess
from pathlib import Path

from bench import load, scripts
from bench.chromium import PAGE
from bench.gates import running_gate
from bench.machine import Cores, on_core, resident
from bench.rooms import Growth
from bench.servers import CHECKOUT, BenchProblem, free_port, python, running

MILLION = 1_000_000

MOST_GROWTH = 64 << 20
"""Bytes that random tokens may leave behind, however many."""

MOST_A_VERDICT = 600
"""Bytes."""

STRANGERS = 50_000
"""Requests of the cross-check over sockets, at least."""

_WRK_SECONDS = 5


def run(folder: Path, site: Path, cores: Cores) -> bool:
    """Print the figures; whether the limits are kept."""
    grown = _rooms(folder, cores)
    apiece = grown.good / grown.verdicts
    kept = [
        _told(
            f"{MILLION:,} random tokens, half refused, half that the API could not judge",
            f"{grown.refused / (1 << 20):.1f} MiB, {grown.refusals:,} refusals remembered",
            MOST_GROWTH / grown.refused,
        ),
        _told(
            f"{grown.verdicts:,} good verdicts, with subject and expiry",
            f"{apiece:.0f} bytes each",
            MOST_A_VERDICT / apiece,
        ),
    ]
    print(f"  (a whole look of Python's collector then takes {grown.pause:.2f} s)", flush=True)
    asked, grew = _sockets(folder, site, cores)
    kept.append(
        _told(
            f"{asked:,} requests with random tokens, over sockets to a real gate",
            f"{grew / (1 << 20):.1f} MiB",
            MOST_GROWTH / max(grew, 1),
        )
    )
    return all(kept)


def _told(what: str, found: str, room: float) -> bool:
    kept = room >= 1
    print(f"{what}: {found}; the limit is {room:.2f} times that: {'kept' if kept else 'NOT KEPT'}")
    return kept


def _rooms(folder: Path, cores: Cores) -> Growth:
    command = python("bench.rooms", str(MILLION), str(MILLION), str(folder))
    with on_core(cores.server):
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchProblem(f"the rooms could not be measured: {done.stderr}")
    return Growth(**json.loads(done.stdout))


def _sockets(folder: Path, site: Path, cores: Cores) -> tuple[int, int]:
    """Requests that were answered, and bytes by which the gate grew."""
    port = free_port()
    elsewhere = Cores(cores.load, cores.load)
    command = python("bench.verify_api", str(port))
    verify = f'url = "http://127.0.0.1:{port}/refused"\nactive = "/active"'
    asked = 0
    with (
        running(command, port, folder=folder, cores=elsewhere),
        running_gate(folder, site, cores, verify) as gate,
    ):
        before = resident(gate.pid)
        while asked < STRANGERS:
            script = folder / "strangers.lua"
            scripts.write_strangers(script, PAGE, seed=asked)
            asked += load.run(
                script, gate.port, seconds=_WRK_SECONDS, core=cores.load, refused=True
            ).requests
        return asked, resident(gate.pid) - before
