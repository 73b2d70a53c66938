"""Listening and leaving: who is connected when a stop comes is answered; no stop waits for ever."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from gate.config.settings import ServerSettings
from gate.doors import ServeProblem
from gate.listening import LAST_SECONDS, listening
from gate.server import address
from tests.certificates import make_certificate

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return app


def connect(port: int, sent: bytes = GET) -> socket.socket:
    """A client that the kernel connects, and nobody has accepted: the loop did not run."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(sent)
    return client


async def answer(client: socket.socket) -> bytes:
    """What it gets until the connection ends."""
    with client:
        reader, writer = await asyncio.open_connection(sock=client)
        got = await reader.read()
        writer.close()
    return got


async def test_clients_that_nobody_accepted_yet_are_answered_and_let_go(
    app: web.Application,
) -> None:
    async with listening(app, "127.0.0.1", 0, key="port") as port:
        clients = [connect(port) for _ in range(50)]
        got = [asyncio.create_task(answer(client)) for client in clients]
    for each in await asyncio.gather(*got):
        assert each.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in each
        assert each.endswith(b"\r\n\r\nhello")


async def test_a_client_that_speaks_only_after_the_stop_is_answered(app: web.Application) -> None:
    async with listening(app, "127.0.0.1", 0, key="port") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        speaking = asyncio.get_running_loop().call_later(0.01, writer.write, GET)
    assert speaking.when() < asyncio.get_running_loop().time()
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_before_the_stop_connections_stay_open(app: web.Application) -> None:
    async with listening(app, "127.0.0.1", 0, key="port") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(GET)
            assert b"Connection: close" not in await reader.readuntil(b"hello")
        writer.close()


async def test_after_the_stop_nobody_listens(app: web.Application) -> None:
    async with listening(app, "127.0.0.1", 0, key="port") as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        connect(port)


async def test_over_https_too_whoever_is_connected_is_answered(
    app: web.Application, tmp_path: Path
) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate, key = make_certificate(tmp_path)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with listening(app, "127.0.0.1", 0, key="port", tls=serving) as port:
        client = connect(port, b"")
        opening = asyncio.create_task(
            asyncio.open_connection(sock=client, ssl=trusting, server_hostname="gate.test")
        )
    reader, writer = await opening
    writer.close()
    assert await reader.read() == b""  # the connection was made, and ended in order


@pytest.fixture
async def stuck() -> AsyncIterator[tuple[web.Application, asyncio.Event, asyncio.Event]]:
    """An application whose one page waits for an event, and an event that says that it does."""
    asked, release = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", wait)
    yield app, asked, release
    release.set()


async def test_a_request_under_way_has_its_time_to_finish(
    stuck: tuple[web.Application, asyncio.Event, asyncio.Event],
) -> None:
    app, asked, release = stuck
    async with listening(app, "127.0.0.1", 0, key="port", grace=30) as port:
        got = asyncio.create_task(answer(connect(port)))
        await asked.wait()
        asyncio.get_running_loop().call_later(LAST_SECONDS + 0.1, release.set)
    assert (await got).endswith(b"hello")


@pytest.mark.parametrize("grace", [0, 0.2])
async def test_a_request_that_never_ends_is_ended_with_the_time_it_had(
    stuck: tuple[web.Application, asyncio.Event, asyncio.Event], grace: float
) -> None:
    app, asked, _ = stuck
    loop = asyncio.get_running_loop()
    async with listening(app, "127.0.0.1", 0, key="port", grace=grace) as port:
        got = asyncio.create_task(answer(connect(port)))
        await asked.wait()
        begun = loop.time()
    assert loop.time() - begun >= grace
    assert await got == b""


@pytest.mark.parametrize("key", ["[server] port", "--portal-port"])
async def test_a_taken_port_names_itself_and_the_key_to_change(
    app: web.Application, key: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServeProblem) as caught:
            async with listening(app, "127.0.0.1", port, key=key):
                raise AssertionError("it listens")
    expected = f"port {port} on 127.0.0.1 is taken by another program: change {key}"
    assert str(caught.value) == expected


async def test_a_host_that_is_none_of_ours_is_named(app: web.Application) -> None:
    with pytest.raises(ServeProblem, match=r"cannot listen on 192\.0\.2\.1 port 80: .* or host"):
        async with listening(app, "192.0.2.1", 80, key="[server] port"):
            raise AssertionError("it listens")


def test_an_address_is_a_url_that_one_can_open() -> None:
    assert address(ServerSettings(), 8080) == "http://127.0.0.1:8080"
    assert address(ServerSettings(host="::1", tls_certificate=Path("x")), 1) == "https://[::1]:1"
