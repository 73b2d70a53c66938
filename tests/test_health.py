"""`gate health`: up, down, over https, and as a container's health check runs it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from gate.config.settings import ServerSettings
from gate.health import ask
from gate.listening import listening
from tests.certificates import make_certificate
from tests.conftest import Gate
from tests.processes import free_ports, run_gate, write_config

Health = Callable[..., Awaitable[str | None]]


@pytest.fixture
async def answering() -> AsyncIterator[Health]:
    """Start a server whose health answers with a status, and ask it as `[server]` says."""
    async with AsyncExitStack() as stack:

        async def start(
            status: int = 200, host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None
        ) -> str | None:
            async def healthz(request: web.Request) -> web.Response:
                return web.Response(status=status)

            app = web.Application()
            app.router.add_get("/-/healthz", healthz)
            serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if tls else None
            if serving and tls:
                serving.load_cert_chain(*tls)
            port = await stack.enter_async_context(listening(app, host, 0, key="", tls=serving))
            certificate, key = tls or (None, None)
            server = ServerSettings(host=host, port=port, tls_certificate=certificate, tls_key=key)
            return await asyncio.to_thread(ask, server)

        yield start


async def test_a_gate_that_answers_is_healthy(gate: Gate) -> None:
    server = ServerSettings(port=gate.port)
    assert await asyncio.to_thread(ask, server) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost"])
async def test_it_asks_where_the_gate_listens(answering: Health, host: str) -> None:
    assert await answering(host=host) is None


async def test_over_https_it_asks_whatever_name_the_certificate_has(
    answering: Health, tmp_path: Path
) -> None:
    assert await answering(tls=make_certificate(tmp_path)) is None


async def test_another_status_than_200_is_not_healthy(answering: Health) -> None:
    problem = await answering(status=503)
    assert problem is not None
    assert problem.endswith("answers with status 503")


async def test_where_nobody_answers_it_is_not_healthy() -> None:
    (port,) = free_ports(1)
    problem = await asyncio.to_thread(ask, ServerSettings(port=port))
    assert problem is not None
    assert problem.startswith(f"127.0.0.1 port {port} does not answer: ")


async def test_what_speaks_no_http_is_not_healthy() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        problem = await asyncio.to_thread(ask, ServerSettings(port=port))
    assert problem is not None
    assert "does not answer" in problem


async def test_what_never_answers_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.health.TIMEOUT", 0.05)
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        problem = await asyncio.to_thread(ask, ServerSettings(port=port))
        asked.set()
    assert problem is not None
    assert "timed out" in problem


async def test_as_a_command_it_ends_with_0_for_up_and_1_for_down(
    tmp_path: Path, docs_tree: Path, gate: Gate
) -> None:
    write_config(tmp_path, root=docs_tree, verify="http://127.0.0.1:1/")
    down = str(free_ports(1)[0])
    up, not_up = [
        await run_gate("health", cwd=tmp_path, environ={"GATE_SERVER__PORT": port})
        for port in (str(gate.port), down)
    ]
    assert up == (0, "healthy\n", "")
    assert not_up[:2] == (1, "")
    assert not_up[2].startswith(f"gate: 127.0.0.1 port {down} does not answer: ")


async def test_a_site_that_is_being_rebuilt_makes_no_running_gate_ill(
    gate: Gate, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[server]\nport = {gate.port}\n[verify]\nurl = "http://localhost"\n'
        '[site]\nroot = "half-built"\n',
        encoding="utf-8",
    )
    assert await run_gate("health", cwd=tmp_path) == (0, "healthy\n", "")
