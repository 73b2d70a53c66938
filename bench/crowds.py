"""What a request costs among many verdicts: `python -m bench crowds`.

Two real gates, one that remembers a thousand verdicts and one that remembers a million, are asked
in interleaved rounds. A cost that grows with what is remembered shows in the ratio.
"""

import contextlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load, scripts
from bench.chromium import PAGE
from bench.gates import warm_gate
from bench.machine import Cores, cpu_seconds, resident
from bench.servers import Server
from bench.warm_gate import FORM

FEW, MANY = 1_000, 1_000_000

FLAT = 1.2
"""How many times the processor time a request may cost among many: the processor's own caches hold
a thousand verdicts and no million, and no more than that may show."""

ROUNDS = 15

COOKIES = 30_000
"""Readers at most who have a session."""


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
    with warm_gate(
        folder,
        site,
        cores,
        verdicts=verdicts,
        cookies=COOKIES,
        cache=f"ttl = 7200\nmax_entries = {MANY}",  # longer than the bench
    ) as (server, cookies):
        yield Gate(server, verdicts, cookies)


def _bearers(file: Path, gate: Gate) -> None:
    scripts.write_bearers(file, PAGE, FORM, gate.verdicts)


def _few_cookies(file: Path, gate: Gate) -> None:
    some = gate.cookies[:: len(gate.cookies) // FEW]
    scripts.write_reading(file, [PAGE], some[:FEW])


def _all_cookies(file: Path, gate: Gate) -> None:
    scripts.write_reading(file, [PAGE], gate.cookies)


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
