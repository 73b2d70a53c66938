"""What readers get while the verify API misbehaves: `python -m bench verify`, about half a minute.

A real gate asks a real process in every way in which such an API can go wrong. A line says, for
each, what a new reader got and when, what it cost the gate, and what the gate remembered: it is
asked about the same token again, by then of an API that would say otherwise.
"""

import contextlib
import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.gates import running_gate
from bench.machine import Cores, forget_peak, peak, resident
from bench.servers import CHECKOUT, Answer, Server, ask
from tests.misbehaving import MODES, WELL
from tests.misbehaving_process import Misbehaving, misbehaving

TIMEOUT = 0.5
"""Seconds: `[verify] timeout` of the gate that is watched."""

LATEST = TIMEOUT + 0.5
"""Seconds within which a reader must have an answer."""

MOST_MEMORY = 16 << 20
"""Bytes that one answer of the API may cost at its peak."""

LONG_REST = 10
"""Seconds of rest for the API that are too long to be waited for here."""

_HEAD = f"{'the API':<36}{'status':>8}{'ms':>7}{'MiB':>7}{'calls':>7}  remembered"


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one mode."""

    mode: str
    status: int
    seconds: float
    grown: int
    """Bytes: the peak while it was asked, over what there was before."""
    calls: int
    remembered: str
    rest: int = 0
    """Seconds for which the gate left the API alone afterwards."""

    @property
    def faults(self) -> list[str]:
        """What is not as it must be."""
        held = {
            f"status {self._wanted[0]} is due": self.status == self._wanted[0],
            "too late": self.seconds <= LATEST,
            "too much memory": self.grown <= MOST_MEMORY,
            "too many calls": 1 <= self.calls <= 2,
            f"to be remembered: {self._wanted[1]}": self.remembered == self._wanted[1],
        }
        return [fault for fault, kept in held.items() if not kept]

    @property
    def _wanted(self) -> tuple[int, str]:
        if self.mode in MODES:
            return 503, "nothing"
        return (303, "yes") if self.mode.startswith("yes") else (401, "no")

    def __str__(self) -> str:
        rest = f", rests {self.rest} s" if self.rest else ""
        faults = f"  NOT KEPT: {', '.join(self.faults)}" if self.faults else ""
        return (
            f"{self.mode:<36}{self.status:>8}{self.seconds * 1000:>7.0f}"
            f"{self.grown / (1 << 20):>7.1f}{self.calls:>7}  {self.remembered}{rest}{faults}"
        )


def run(folder: Path, site: Path, cores: Cores) -> bool:
    """Print the table; whether everything was as it must be."""
    modes = [*MODES, *WELL]
    rows: list[Row] = []
    print(f"[verify] timeout = {TIMEOUT}; an answer is due within {LATEST} s\n{_HEAD}")
    with misbehaving() as api:
        while len(rows) < len(modes):
            with _gate(folder, site, cores, api) as server:
                for mode in modes[len(rows) :]:
                    rows.append(_row(server, api, mode))
                    print(rows[-1], flush=True)
                    if rows[-1].rest > LONG_REST:
                        break  # a fresh gate knows nothing of the rest
    bad = [row for row in rows if row.faults]
    print(
        f"\n{len(rows)} modes; the latest answer after {max(row.seconds for row in rows):.2f} s, "
        f"the most memory {max(row.grown for row in rows) / (1 << 20):.1f} MiB: "
        + (f"{len(bad)} NOT KEPT" if bad else "kept")
    )
    return not bad


@contextlib.contextmanager
def _gate(folder: Path, site: Path, cores: Cores, api: Misbehaving) -> Iterator[Server]:
    verify = f'url = "{api.url}"\ntimeout = {TIMEOUT}'
    with running_gate(folder, site, cores, verify, checkout=CHECKOUT) as server:
        api.be("yes")
        _bring(server, "the-first-of-all")  # what a gate does once is not the mode's doing
        yield server


def _row(server: Server, api: Misbehaving, mode: str) -> Row:
    token = f"token-{''.join(filter(str.isalnum, mode))}"
    api.be(mode)
    before = resident(server.pid)
    forget_peak(server.pid)
    begun = time.monotonic()
    answer = _bring(server, token)
    seconds = time.monotonic() - begun
    grown = max(0, peak(server.pid) - before)
    otherwise = "no" if answer.status == 303 else "yes"
    calls, rest = api.be(otherwise), 0
    again, asked = _bring(server, token), api.be("yes")
    if again.status == 503 and not asked:
        rest = int(answer.header("Retry-After"))
        if rest <= LONG_REST:
            time.sleep(rest + 0.1)
            again, asked = _bring(server, token), api.be("yes")
    remembered = "nothing" if asked or again.status == 503 else _WORDS[again.status]
    return Row(mode, answer.status, seconds, grown, calls, remembered, rest)


_WORDS = {303: "yes", 401: "no"}


def _bring(server: Server, token: str) -> Answer:
    """A new reader comes in."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10 * LATEST)
    with contextlib.closing(connection):
        return ask(connection, f"/?token={token}", {"Host": "docs.example.com"})
