"""The bounds of connections, by raw sockets: too many, slow to ask, slow to read, too long."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gate.config.settings import ServerSettings
from gate.connections import Connections, most, signs_of_aiohttp
from gate.door.door import Doors
from gate.proxies import Proxies
from gate.serving import SLICE
from tests.conftest import Gate, MakeGate
from tests.fakes import FakeApi
from tests.processes import PATIENCE, gate_process, write_config
from tests.raw import server_of, until

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BODY = b"x" * 20_000_000


class Served:
    """aiohttp's server behind the bounds, and a clock that tests move by looking."""

    def __init__(self, connections: Connections, port: int) -> None:
        self.connections, self.port = connections, port
        self._later = 0.0
        self._clients: list[Client] = []

    async def leave(self) -> None:
        for each in self._clients:
            each.writer.close()
            with contextlib.suppress(ConnectionError):
                await each.writer.wait_closed()

    @property
    def told(self) -> tuple[int, int, int]:
        figures = self.connections.statistics()
        return figures.refused, figures.slow_headers, figures.slow_readers

    def look_after(self, seconds: float, looks: int = 2) -> None:
        self._later += seconds
        for _ in range(looks):
            self.connections.look(asyncio.get_running_loop().time() + self._later)

    async def connect(self, sent: bytes = b"") -> "Client":
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=65536)
        writer.write(sent)
        self._clients.append(Client(reader, writer))
        return self._clients[-1]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        """The head of one answer, after which its body is read."""
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await self.reader.readexactly(length)
            return head

    async def is_ended(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(1 << 20):
                    pass
            return True


@asynccontextmanager
async def serving(*trusted: str, **settings: Any) -> AsyncIterator[Served]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=BODY if request.path == "/big" else b"hello")

    app = web.Application()
    app.router.add_get("/{any:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    proxies = Proxies([ip_network(each) for each in trusted])
    bounds = ServerSettings(**settings)
    async with Connections(bounds, proxies, runner.server, signs_of_aiohttp) as connections:
        server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
        served = Served(connections, server.sockets[0].getsockname()[1])
        yield served
        await served.leave()
        server.close()
        await runner.cleanup()


async def test_one_address_has_so_many_connections_and_the_next_one_is_told() -> None:
    async with serving(connections_per_address=2) as served:
        first, second = [await served.connect(GET) for _ in range(2)]
        assert [(await each.answer())[:12] for each in (first, second)] == [b"HTTP/1.1 200"] * 2
        third = await (await served.connect(GET)).answer()
        assert third.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1\r\n" in third
        second.writer.close()
        async with asyncio.timeout(PATIENCE):
            while not (await (await served.connect(GET)).answer()).startswith(b"HTTP/1.1 200"):
                pass
        assert served.told[0] >= 1


async def test_proxies_have_no_bound_of_their_own() -> None:
    async with serving("127.0.0.1", connections_per_address=1) as served:
        clients = [await served.connect(GET) for _ in range(5)]
        assert [(await each.answer())[:12] for each in clients] == [b"HTTP/1.1 200"] * 5


async def test_in_all_there_are_so_many_whoever_has_them() -> None:
    async with serving("127.0.0.1", connections=3) as served:
        served.connections._most = 3
        clients = [await served.connect(GET) for _ in range(3)]
        for each in clients:
            await each.answer()
        assert (await (await served.connect(GET)).answer()).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET[:-2] + b"X-Slow: 1\r\n"])
async def test_whoever_does_not_ask_in_time_is_let_go(sent: bytes) -> None:
    async with serving(header_timeout=10.0) as served:
        client = await served.connect(sent)
        other = await served.connect(GET)
        await other.answer()
        served.look_after(9)
        assert served.told == (0, 0, 0)
        served.look_after(2)
        assert served.told == (0, 1, 0)
        assert await client.is_ended()
        other.writer.write(GET)
        assert (await other.answer()).startswith(b"HTTP/1.1 200"), "it has asked before"


async def test_after_a_standstill_what_came_meanwhile_is_read_first() -> None:
    async with serving(header_timeout=10.0) as served:
        client = await served.connect(GET)
        await until(lambda: served.connections.statistics().open == 1)
        served.look_after(60, looks=1)  # its request was not read yet
        assert (await client.answer()).startswith(b"HTTP/1.1 200")
        served.look_after(60)
        assert served.told == (0, 0, 0)


async def test_after_a_standstill_whoever_read_meanwhile_is_no_slow_reader() -> None:
    async with serving(send_timeout=30.0) as served:
        client = await served.connect(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        served.look_after(1)
        served.look_after(60, looks=1)
        await client.reader.readexactly(len(BODY))
        served.look_after(1)
        assert served.told == (0, 0, 0)


async def test_whoever_does_not_read_is_let_go_and_whoever_reads_slowly_is_not() -> None:
    async with serving(send_timeout=30.0) as served:
        slow = await served.connect(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await slow.reader.readuntil(b"\r\n\r\n")
        served.look_after(1)
        for _ in range(4):
            await slow.reader.readexactly(3_000_000)
            served.look_after(20)
        assert served.told == (0, 0, 0)
        served.look_after(31)
        assert served.told == (0, 0, 1)
        assert await slow.is_ended()


def test_there_are_no_more_connections_than_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.connections.resource.getrlimit", lambda which: (1024, 1024))
    assert most(20_000) == 640
    assert most(100) == 100


# The whole gate


@pytest.mark.parametrize("more", ["", "Range: bytes=1-\r\n"], ids=["whole", "range"])
async def test_whoever_reads_slowly_holds_no_copy_of_a_file_in_memory(
    make_gate: MakeGate, docs_tree: Path, more: str
) -> None:
    film = os.urandom(1000) * 20_000
    (docs_tree / "film.bin").write_bytes(film)
    gate = await make_gate()
    cookie = (await gate.sign_in())["Cookie"]
    for _ in range(2):  # the second time the cookie is known
        with socket.socket() as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            door.setblocking(False)
            await asyncio.get_running_loop().sock_connect(door, (gate.host, gate.port))
            reader, writer = await asyncio.open_connection(sock=door, limit=4096)
            asking = f"GET /film.bin HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n{more}\r\n"
            writer.write(asking.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert 0 < max(map(unsent, served_by(gate))) <= 2 * SLICE
            length = len(film) - len(more and "x")
            assert f"Content-Length: {length}\r\n".encode() in head
            assert await reader.readexactly(length) == film[-length:]
            writer.close()


def served_by(gate: Gate) -> list[asyncio.Transport]:
    """The connections that aiohttp has."""
    server = server_of(gate)
    protocols = (server.server if isinstance(server, Doors) else server).connections
    return [each.transport for each in protocols if each.transport is not None]


def unsent(transport: asyncio.Transport) -> int:
    return transport.get_write_buffer_size()


async def raw(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                return await reader.read()
    finally:
        writer.close()
    return b""


async def test_the_gate_keeps_its_bounds(tmp_path: Path, docs_tree: Path, api: FakeApi) -> None:
    more = (
        "header_timeout = 0.2\nconnections_per_address = 4\nline_bytes = 2000\nheader_bytes = 3000"
    )
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    async with gate_process("serve", cwd=tmp_path) as process:
        port = await process.port()
        assert await raw(port, b"GET / HTTP/1.1\r\nHo") == b""
        assert (await raw(port, b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\n\r\n"))[9:12] in (
            b"400",
            b"414",
        )
        long = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 4000 + b"\r\n\r\n"
        assert (await raw(port, long))[9:12] in (b"400", b"431")
        fits = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"a" * 2500 + b"\r\n\r\n"
        assert (await raw(port, fits))[9:12] == b"401"
        many = b"GET /-/healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 200 + LAST
        assert (await raw(port, many)).count(b"HTTP/1.1 200 OK") == 200, "pipelined, in order"
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _, writer in held:
            writer.write(b"GET /-/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in held:
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        assert (await raw(port, GET))[9:12] == b"503"
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while (await raw(port, LAST))[9:12] != b"401":
                pass
        await process.said("too many connections")
