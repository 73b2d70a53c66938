"""What the tests put in place of the world: a clock, a verify API on a real socket, a log's end.

Nothing of the gate's own is faked.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

GOOD = "good-token"
BAD = "bad-token"


class FakeClock:
    """Two clocks that stand still until they are told, and a sleep by them."""

    def __init__(self) -> None:
        self.ticks = 1_000.0
        self.unix = 1_800_000_000.0
        self._sleepers: dict[asyncio.Future[None], float] = {}
        self._changed = asyncio.Event()

    def monotonic(self) -> float:
        return self.ticks

    def wall(self) -> float:
        return self.unix

    def advance(self, seconds: float) -> None:
        self.ticks += seconds
        self.unix += seconds
        for sleeper, end in list(self._sleepers.items()):
            if end <= self.ticks and not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Until the clock was advanced by so much."""
        sleeper = asyncio.get_running_loop().create_future()
        if seconds <= 0:
            sleeper.set_result(None)
        self._sleepers[sleeper] = self.ticks + seconds
        self._changed.set()
        try:
            await sleeper
        finally:
            del self._sleepers[sleeper]
            self._changed.set()

    async def asleep(self, number: int) -> None:
        """Until so many wait for this clock, and nobody is just waking up."""
        while len(self._sleepers) != number or any(each.done() for each in self._sleepers):
            self._changed.clear()
            await self._changed.wait()


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeApi:
    """A verify API: a real aiohttp application whose answers a test sets.

    `tokens` maps a token to the JSON it gets; others get `false`. `answer` replaces all of that.
    """

    tokens: dict[str, Any] = field(default_factory=lambda: {GOOD: True})
    answer: Answer | None = None
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[web.Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there was a call."""
    url: str = ""

    @property
    def count(self) -> int:
        return sum(self.calls.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.calls[request.query.get("token", "")] += 1
        self.asked.set()
        if self.answer is not None:
            return await self.answer(request)
        return web.json_response(self.tokens.get(request.query.get("token", ""), False))

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/verify", self.handle)
        return app

    def fail(self, status: int = 500, text: str = "") -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=text)

        self.answer = answer

    def say(self, body: Any) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response(body)

        self.answer = answer

    def hold(self) -> asyncio.Event:
        """Answer nothing before the event that is returned is set."""
        released = asyncio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            await released.wait()
            return web.json_response(self.tokens.get(request.query.get("token", ""), False))

        self.answer = answer
        return released


class Lines:
    """Where access log lines end up in tests."""

    lost = 0

    def __init__(self) -> None:
        self.raw = b""
        self.came = asyncio.Event()

    def write(self, lines: bytes, count: int = 1) -> None:
        self.raw += lines
        self.came.set()

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw.splitlines()]
