"""Several workers of one gate, each request to the next: they share keys, `state_dir` and nothing
else, as the processes of `[server] workers` do. The clock of the tests can then still be moved."""

import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from gate.sign_in.neighbours import Neighbours
from tests.conftest import Gate, MakeGate
from tests.fakes import FakeClock


class InTurn(Gate):
    """Looks like one gate, at the address of its first worker. Each request takes a moment: what
    is asked at the very moment of a revocation counts as asked before it."""

    def __init__(self, workers: list[Gate], clock: FakeClock) -> None:
        first = workers[0]
        super().__init__(first.server, first._session, first.lines)
        self._workers = workers
        self._clock = clock
        self._next = 0

    async def request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        worker = self._workers[self._next % len(self._workers)]
        self._next += 1
        self._clock.advance(0.01)
        stated = {"Host": f"{self.host}:{self.port}", **(options.pop("headers", None) or {})}
        return await worker.request(method, path, headers=stated, **options)

    def address(self, path: str) -> str:
        self._next += 1
        return self._workers[self._next % len(self._workers)].address(path)

    async def log(self) -> list[dict[str, Any]]:
        entries = [entry for worker in self._workers for entry in await worker.log()]
        return sorted(entries, key=lambda entry: str(entry["timestamp"]))


def in_turn(make_gate: MakeGate, count: int, clock: FakeClock) -> MakeGate:
    """Starts gates of so many workers."""

    async def make(**sections: Any) -> Gate:
        if count == 1:
            return await make_gate(**sections)
        folder = Path(tempfile.mkdtemp(prefix="gate-workers-"))
        places = tuple(folder / str(number) for number in range(count))
        workers = [
            await make_gate(neighbours=Neighbours(number, places), **dict(sections))
            for number in range(count)
        ]
        return InTurn(workers, clock)

    return make
