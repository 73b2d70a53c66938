"""A client that asks at a given rate, whether or not the answers have come:
`python -m bench.paced PORT REQUEST-FILE RATE SECONDS CONNECTIONS`.

The moments are those of many people who know nothing of each other (a Poisson process). A request
waits here while every connection is busy, and its time counts from the moment when it was due, so
that a slow answer shows in those behind it too. The program never sleeps: it has a core of its own.
"""

import gc
import json
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_GRACE = 5.0
"""Seconds that the last answers may take."""

_ENOUGH = 1 << 16


class Broken(Exception):
    """An answer that is not the one that was expected."""


def moments(rate: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """When requests are due, in seconds from the start."""
    due = chance.expovariate(rate)
    while due < seconds:
        yield due
        due += chance.expovariate(rate)


def answer_bytes(port: int, request: bytes) -> int:
    """How long the answer is, which is always the same."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        data = b""
        while _END not in data:
            data += connection.recv(_ENOUGH) or _gone()
        head, _, _ = data.partition(_END)
        if not head.startswith(b"HTTP/1.1 200"):
            raise Broken(head.decode("latin-1"))
        lines = [line for line in head.split(b"\r\n") if line.lower().startswith(_LENGTH)]
        return len(head) + len(_END) + int(lines[0][len(_LENGTH) :])


def _gone() -> bytes:
    raise Broken("the connection was closed")


class Client:
    """Open connections, of which each has one request under way or none."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self.times: list[float] = []
        """Seconds from the moment when a request was due to its last byte."""
        self._request = request
        self._size = answer_bytes(port, request)
        self._poll = select.epoll()
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        self._by_number = {each.fileno(): each for each in self._sockets}
        self._idle = deque(self._by_number)
        self._due: dict[int, float] = {}
        self._left: dict[int, int] = {}
        for each in self._sockets:
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poll.register(each.fileno(), select.EPOLLIN)

    def run(self, due: Iterator[float]) -> None:
        """Ask at every moment of `due`, and wait for the last answers."""
        clock, started = time.perf_counter, time.perf_counter()
        upcoming = next(due, None)
        while upcoming is not None:
            while upcoming is not None and self._idle and clock() - started >= upcoming:
                self._ask(started + upcoming)
                upcoming = next(due, None)
            self._receive()
        deadline = clock() + _GRACE
        while self._due:
            if clock() > deadline:
                raise Broken("an answer did not come")
            self._receive()

    def close(self) -> None:
        """Leave."""
        for each in self._sockets:
            each.close()
        self._poll.close()

    def _ask(self, due: float) -> None:
        number = self._idle.popleft()
        self._due[number] = due
        self._left[number] = self._size
        if self._by_number[number].send(self._request) != len(self._request):
            raise Broken("the request was not taken whole")

    def _receive(self) -> None:
        for number, _ in self._poll.poll(0):
            data = self._by_number[number].recv(_ENOUGH)
            if not data or number not in self._left:
                raise Broken("the connection was closed, or more came than was asked for")
            self._left[number] -= len(data)
            if self._left[number] <= 0:
                self._take(number)

    def _take(self, number: int) -> None:
        if self._left.pop(number) < 0:
            raise Broken("an answer was longer than the first")
        self.times.append(time.perf_counter() - self._due.pop(number))
        self._idle.append(number)


def main() -> None:
    """Print what was found as JSON."""
    port, rate, seconds, connections = (int(sys.argv[place]) for place in (1, 3, 4, 5))
    client = Client(port, Path(sys.argv[2]).read_bytes(), connections)
    gc.disable()  # its own pauses would be found in the server
    begun = time.perf_counter()
    client.run(moments(rate, seconds, random.Random(0)))
    spent = time.perf_counter() - begun
    client.close()
    times = sorted(client.times)
    found = {
        "requests": len(times),
        "rate": len(times) / spent,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
