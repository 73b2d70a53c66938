"""Bytes to a gate and bytes back: for what a client library would tidy away."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDict

from gate.door.door import Doors
from tests.conftest import Gate

PATIENCE = 5.0
"""Seconds after which a connection that is neither answered nor closed counts as hanging."""

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) [^\r\n]*\r\n")


@dataclass(frozen=True)
class Answer:
    """One final response, as it came over the wire."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def cookies(self) -> list[str]:
        return self.headers.getall("Set-Cookie", [])


async def exchange(gate: Gate, *steps: bytes) -> bytes:
    """Send each step once the one before was answered; everything that came back until the end."""
    reader, writer = await asyncio.open_connection(gate.host, gate.port)
    got = b""
    try:
        async with asyncio.timeout(PATIENCE):
            for step in steps:
                writer.write(step)
                if step is not steps[-1]:
                    got += await reader.read(65536)
            while chunk := await _read(reader):
                got += chunk
    finally:
        writer.close()
    return got


def server_of(gate: Gate) -> Any:
    """aiohttp's server or the doors before it: it knows connections and counts requests."""
    runner = gate.server.runner
    assert runner is not None
    assert runner.server is not None
    return runner.server


def doors_of(gate: Gate) -> Doors:
    """The fast doors of a gate that has them."""
    doors = server_of(gate)
    assert isinstance(doors, Doors)
    return doors


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds that nothing tells of."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - that is what this is for
            await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:  # closed while we were still sending
        return b""


def statuses(got: bytes) -> list[int]:
    """The statuses of the final responses in it, wherever they stand."""
    return [int(code) for code in _STATUS_LINE.findall(got) if code[:1] != b"1"]


def parse(got: bytes) -> Answer:
    """The one response in it."""
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = CIMultiDict((name, value.strip()) for name, _, value in pairs)
    return Answer(int(first.split(" ")[1]), headers, body)


async def ask(
    gate: Gate, target: bytes | str, *headers: str, method: str = "GET", body: bytes = b""
) -> Answer:
    """One request on a connection of its own, its target byte for byte."""
    line = target if isinstance(target, bytes) else target.encode("latin-1")
    names = {header.partition(":")[0].lower() for header in headers}
    lines = list(headers) + ([] if "host" in names else [f"Host: {gate.host}:{gate.port}"])
    if body:
        lines.append(f"Content-Length: {len(body)}")
    head = "".join(f"{each}\r\n" for each in [*lines, "Connection: close"])
    start = method.encode("ascii") + b" " + line + b" HTTP/1.1\r\n"
    return parse(await exchange(gate, start + head.encode("latin-1") + b"\r\n" + body))
