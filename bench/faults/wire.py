"""One client connection, byte by byte, so that a test says what it sends and sees what came."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass

HOST = "docs.example.com"

PATIENCE = 15.0
"""Seconds after which an answer counts as missing: more than any limit of the gate's own."""

BROKEN = (ConnectionError, asyncio.IncompleteReadError, TimeoutError)
"""What a request ends with that got no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def cookie(self) -> str:
        """The cookie that it sets, as a browser sends it back; "" where it sets none."""
        return self.headers.get("set-cookie", "").partition(";")[0]


def request(path: str, *, method: str = "GET", cookie: str = "", **headers: str) -> bytes:
    """The bytes of a request's head. In names of headers `_` is written for `-`."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class Connection:
    """An open one. `reusable` is whether it takes another request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.reusable = True

    async def ask(self, head: bytes, body: bytes = b"") -> Answer:
        """Send one request and read its answer to the end. Raises one of `BROKEN`."""
        self.reusable = False
        async with asyncio.timeout(PATIENCE):
            self.writer.write(head + body)
            answer = await self._read()
        self.reusable = answer.headers.get("connection") != "close"
        return answer

    async def _read(self) -> Answer:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(lines[0].split(" ", 2)[1]), headers, body)

    def close(self) -> None:
        """Let go of it at once, whatever is under way."""
        self.writer.transport.abort()


async def connect(port: int, source: str = "127.0.0.1", *, small: bool = False) -> Connection:
    """A connection from an address of this machine; `small` leaves the kernel hardly any room for
    what was not read. Raises OSError."""
    door = socket.socket()
    door.setblocking(False)
    try:
        if small:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # else the kernel picks a port without knowing whom it is for, and runs out of them
        door.setsockopt(socket.IPPROTO_IP, _NO_PORT_YET, 1)
        door.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(door, ("127.0.0.1", port))
        limit = 4096 if small else 1 << 16
        return Connection(*await asyncio.open_connection(sock=door, limit=limit))
    except BaseException:
        door.close()
        raise


_NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT of Linux, ip(7), which Python has no name for


async def ask_once(
    port: int, path: str, *, source: str = "127.0.0.1", body: bytes = b"", **head: str
) -> Answer:
    """One request on a connection of its own. Raises OSError or one of `BROKEN`."""
    connection = await connect(port, source)
    with contextlib.closing(connection):
        return await connection.ask(request(path, Connection="close", **head), body)
