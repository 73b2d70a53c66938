"""An authorization server for devices (RFC 8628) on a real socket, whose answers a test sets."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fakes import GOOD

DEVICE_CODE = "device-code-that-nobody-may-see"
USER_CODE = "WDJB-MJHT"


def error(code: str, status: int = 400) -> tuple[int, Any]:
    return status, {"error": code}


PENDING = error("authorization_pending")
SLOW_DOWN = error("slow_down")
APPROVED = 200, {"access_token": GOOD, "token_type": "Bearer"}


@dataclass
class FakeDevices:
    """`answers` are given one for each question, the last one for ever."""

    answers: deque[tuple[int, Any]] = field(default_factory=lambda: deque([PENDING]))
    start: tuple[int, Any] | None = None
    starts: list[dict[str, str]] = field(default_factory=list)
    polls: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    begun: int = 0
    url: str = ""
    interval: float = 5
    lifetime: float = 600
    released: asyncio.Event | None = None
    """Where there is one, polls are answered once it is set."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *answers: tuple[int, Any]) -> None:
        self.answers = deque(answers)

    async def asked(self, number: int) -> None:
        """Until there were so many polls in all."""
        while len(self.polls) < number:
            self._came.clear()
            await self._came.wait()

    async def device(self, request: web.Request) -> web.StreamResponse:
        self.starts.append({name: str(value) for name, value in (await request.post()).items()})
        self.headers.append(dict(request.headers))
        if self.start is not None:
            return _response(*self.start)
        self.begun += 1
        code = f"{USER_CODE}{self.begun}"
        return web.json_response(
            {
                "device_code": f"{DEVICE_CODE}-{self.begun}",
                "user_code": code,
                "verification_uri": "https://login.example.com/device",
                "verification_uri_complete": f"https://login.example.com/device?code={code}",
                "expires_in": self.lifetime,
                "interval": self.interval,
            }
        )

    async def token(self, request: web.Request) -> web.StreamResponse:
        self.polls.append({name: str(value) for name, value in (await request.post()).items()})
        self.headers.append(dict(request.headers))
        self._came.set()
        if self.released is not None:
            await self.released.wait()
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return _response(*answer)

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/device", self.device), web.post("/token", self.token)])
        return app

    def settings(self, **more: Any) -> dict[str, Any]:
        """`[sign_in]` for a gate that asks here."""
        return {"qr": self.qr() | more}

    def qr(self) -> dict[str, str]:
        """`[sign_in.qr]`, without what is as it comes."""
        return {
            "preset": "device",
            "client_id": "docs",
            "device_url": f"{self.url}/device",
            "token_url": f"{self.url}/token",
        }


def _response(status: int, body: Any) -> web.Response:
    if isinstance(body, str):
        return web.Response(status=status, text=body)
    return web.json_response(body, status=status)


@asynccontextmanager
async def running_devices() -> AsyncIterator[FakeDevices]:
    """The server, for as long as the context lasts."""
    fake = FakeDevices()
    async with TestServer(fake.app()) as server:
        fake.url = str(server.make_url("")).rstrip("/")
        yield fake
