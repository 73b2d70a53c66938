"""Readers while the verify API hangs: `python -m bench hanging`.

A thousand readers whose verdicts are remembered read on. In every other round the API hangs, and
people come in with new tokens, each of whom waits for it. Readers must not notice.
"""

import contextlib
import http.client
import secrets
import socket
import statistics
import threading
from collections.abc import Iterator
from pathlib import Path

from bench import load, scripts
from bench.chromium import PAGE
from bench.gates import running_gate
from bench.machine import Cores, on_core
from bench.scenarios import READERS
from bench.servers import BenchProblem, Server, ask
from tests.misbehaving_process import Misbehaving, misbehaving

LIMIT = 1.2
"""How many times the undisturbed p99 that of readers may be."""

ROUNDS = 15
TIMEOUT, SECONDS = 1, 2
"""Of the gate's question, and of half a round: questions hang, time out, and are not put."""

EACH_SECOND = 50
"""People who come in with new tokens."""

_PATIENCE = 10.0


def run(folder: Path, site: Path, cores: Cores) -> bool:
    """Print the figures; whether the limit is kept."""
    print(f"p99 in ms of {READERS:,} readers: undisturbed, and while the API hangs")
    rounds: list[tuple[float, float]] = []
    script = folder / "readers.lua"
    with misbehaving() as api:
        verify = f'url = "{api.url}"\ntimeout = {TIMEOUT}'
        with running_gate(folder, site, cores, verify) as server:
            scripts.write_reading(script, [PAGE], _cookies(server))
            _calm(script, server, cores)
            for number in range(ROUNDS):
                calm = _calm(script, server, cores) if number % 2 else 0.0
                hung = _hung(script, server, cores, api)
                rounds.append((calm or _calm(script, server, cores), hung))
                print("  {:>8.2f}{:>8.2f}".format(*rounds[-1]), flush=True)
    ratio = statistics.median(hung / calm for calm, hung in rounds)
    kept = ratio <= LIMIT
    print(
        f"readers' p99 while the API hung was {ratio:.2f} times the undisturbed "
        f"(at most {LIMIT}): {'kept' if kept else 'NOT KEPT'}"
    )
    return kept


def _calm(script: Path, server: Server, cores: Cores) -> float:
    return load.run(script, server.port, seconds=SECONDS, core=cores.load).p99_ms


def _hung(script: Path, server: Server, cores: Cores, api: Misbehaving) -> float:
    api.be("hangs before a byte")
    with on_core(cores.load), _newcomers(server) as statuses:
        p99_ms = _calm(script, server, cores)
    if api.be("yes") < 1 or set(statuses) != {503}:
        raise BenchProblem(f"the API did not hang: newcomers got {set(statuses)}")
    _await_recovery(server)
    return p99_ms


def _cookies(server: Server) -> list[str]:
    with contextlib.closing(_connection(server)) as connection:
        answers = (
            ask(connection, f"/?token=portal-token-of-reader-{number:05d}", {})
            for number in range(READERS)
        )
        return [answer.header("Set-Cookie").partition(";")[0] for answer in answers]


def _connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)


@contextlib.contextmanager
def _newcomers(server: Server) -> Iterator[list[int]]:
    """They come while the context lasts; afterwards the list holds what each got."""
    statuses: list[int] = []
    over = threading.Event()

    def come() -> None:
        waiting: list[socket.socket] = []
        while not over.wait(1 / EACH_SECOND):
            token = secrets.token_urlsafe(32)
            waiting.append(socket.create_connection(("127.0.0.1", server.port), _PATIENCE))
            waiting[-1].sendall(f"GET /?token={token} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        for each in waiting:
            with each:
                statuses.append(int(each.recv(12)[9:]))

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield statuses
    finally:
        over.set()
        thread.join()


def _await_recovery(server: Server) -> None:
    """Ask until the gate asks the API again; it makes that wait for some seconds."""
    for _ in range(100):
        with contextlib.closing(_connection(server)) as connection:
            if ask(connection, f"/?token={secrets.token_urlsafe(32)}", {}).status == 303:
                return
        threading.Event().wait(0.1)
    raise BenchProblem("the gate did not ask the API again")
