"""What a request costs among many verdicts: `python -m bench crowds`.

Two real gates, one that remembers a thousand verdicts and one that remembers a million, are asked
in interleaved rounds. A cost that grows with what is remembered shows in the ratio.
"""

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.gates import running_gate
from bench.machine import Cores, cpu_seconds, resident
from bench.scenarios import BROWSER, NAVIGATION
from bench.servers import Server, python
from bench.warm_gate import COOKIES, FORM

FEW, MANY = 1_000, 1_000_000

FLAT = 1.2
"""How many times the processor time a request may cost among many: the processor's own caches hold
a thousand verdicts and no million, and no more than that may show."""

ROUNDS = 15

_HEADERS = {**BROWSER, **NAVIGATION, "Host": "docs.example.com"}
_FILL_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that remembers `verdicts`, with cookies of some of their readers."""

    server: Server
    verdicts: int
    cookies: list[str]


Write = Callable[[Path, Gate], None]
"""Writes the wrk script for a gate."""


def run(folder: Path, site: Path, cores: Cores) -> bool:
    """Print the figures; whether the limit is kept."""
    with _gate(folder, site, cores, FEW) as few, _gate(folder, site, cores, MANY) as many:
        for gate in (few, many):
            held = resident(gate.server.pid) / (1 << 20)
            print(f"{gate.verdicts:,} verdicts remembered: the gate has {held:.0f} MiB")
        print(f"µs a request{'':<32}{FEW:>12,}{MANY:>12,}{'ratio':>8}", flush=True)
        asked: list[tuple[str, Write]] = [
            ("a Bearer token, any of them", _bearers),
            (f"the cookies of {FEW:,} readers in turn", _few_cookies),
            (f"of {FEW:,}, and of {COOKIES:,} readers", _all_cookies),
        ]
        kept = [_compared(folder, cores, [few, many], *each) for each in asked]
    return all(kept)


@contextlib.contextmanager
def _gate(folder: Path, site: Path, cores: Cores, verdicts: int) -> Iterator[Gate]:
    verify = 'url = "http://127.0.0.1:1/nobody-is-asked"'
    more = f"[cache]\nttl = 7200\nmax_entries = {MANY}"  # longer than the bench
    program = python("bench.warm_gate", str(verdicts))
    with running_gate(
        folder, site, cores, verify, more, program=program, patience=_FILL_SECONDS
    ) as server:
        cookies = json.loads((folder / f"{server.port}.cookies").read_text("ascii"))
        yield Gate(server, verdicts, cookies)


def _bearers(file: Path, gate: Gate) -> None:
    load.write_bearers(file, "/", _HEADERS, FORM, gate.verdicts)


def _few_cookies(file: Path, gate: Gate) -> None:
    some = gate.cookies[:: len(gate.cookies) // FEW]
    load.write_script(file, "/", _HEADERS, some[:FEW])


def _all_cookies(file: Path, gate: Gate) -> None:
    load.write_script(file, "/", _HEADERS, gate.cookies)


def _compared(folder: Path, cores: Cores, gates: list[Gate], what: str, write: Write) -> bool:
    scripts = [folder / f"{gate.verdicts}.lua" for gate in gates]
    for gate, script in zip(gates, scripts, strict=True):
        write(script, gate)
    rounds = [
        [_micros(gate, script, cores) for gate, script in zip(gates, scripts, strict=True)]
        for _ in range(ROUNDS)
    ]
    few, many = (statistics.median(found) for found in zip(*rounds, strict=True))
    ratio = statistics.median(many / few for few, many in rounds)
    kept = ratio <= FLAT
    told = f"at most {FLAT}: {'kept' if kept else 'NOT KEPT'}"
    print(f"  {what:<42}{few:>12.1f}{many:>12.1f}{ratio:>8.2f}  {told}", flush=True)
    return kept


def _micros(gate: Gate, script: Path, cores: Cores) -> float:
    before = cpu_seconds(gate.server.pid)
    done = load.run(script, gate.server.port, seconds=1, core=cores.load)
    return (cpu_seconds(gate.server.pid) - before) / done.requests * 1e6
