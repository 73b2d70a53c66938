"""A real Redis or Valkey server for tests: on a free loopback port, with a folder of its own."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis.asyncio.connection import Connection

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
PASSWORD = "s3cret-pässword"
URL_PASSWORD = "s3cret-p%C3%A4ssword"


class RedisServer:
    """One server, again and again on the same port. It keeps nothing on disk: started anew it is
    empty."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://:{URL_PASSWORD}@127.0.0.1:{self.port}/0"
        self.socket = folder / "socket"
        self._options = options
        self._process: Process | None = None

    async def start(self) -> None:
        """Start, and wait until it takes connections."""
        assert PROGRAM is not None
        own = f"--port {self.port} --bind 127.0.0.1 --save --appendonly no".split()
        rest = ("--unixsocket", str(self.socket), "--dir", str(self.folder))
        command = (PROGRAM, *own, *rest, "--requirepass", PASSWORD, *self._options)
        self._process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=DEVNULL)
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            while b"eady to accept connections" not in (
                line := await self._process.stdout.readline()
            ):
                assert line, "the server ended"

    async def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections stand, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, which)

    async def do(self, *command: str | bytes | float) -> Any:
        """What the server answers to the user that the URL names."""
        return await self.do_as(None, *command)

    async def do_as(self, user: str | None, *command: str | bytes | float) -> Any:
        """What the server answers to another user."""
        connection: Any = Connection(
            host="127.0.0.1",
            port=self.port,
            username=user,
            password=PASSWORD,
            protocol=2,
            driver_info=None,
        )
        try:
            await connection.connect()
            await connection.send_command(*command)
            return await connection.read_response()
        finally:
            await connection.disconnect()

    async def contents(self) -> dict[bytes, bytes]:
        """Every plain value by its name."""
        names = [name for name in await self.do("KEYS", "*") if await self._is_plain(name)]
        return {name: await self.do("GET", name) for name in names}

    async def _is_plain(self, name: bytes) -> bool:
        return bool(await self.do("TYPE", name) == b"string")


@asynccontextmanager
async def redis_server(*options: str) -> AsyncIterator[RedisServer]:
    """A running server. Skips the test where the machine has none."""
    if PROGRAM is None:
        pytest.skip("there is no redis-server here: apt-get install redis-server")
    folder = Path(tempfile.mkdtemp(prefix="gate-redis-"))  # short: paths of sockets must be
    server = RedisServer(folder, *options)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def make_certificate(folder: Path) -> Path:
    """One file with a key and a certificate for localhost, which vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return file


class BadLine:
    """Stands in front of a server. While `deaf`, it passes on nothing of what the server sends to
    connections that subscribed: they stand and are dead. `delay` holds up what it sends to others,
    in seconds."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.deaf = False
        self.delay = 0.0
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://:{URL_PASSWORD}@127.0.0.1:{self.port}"

    async def __aenter__(self) -> "BadLine":
        self._listener = await asyncio.start_server(self._pass_on, "127.0.0.1")
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subscribed = False

        async def to_client(answers: asyncio.StreamReader) -> None:
            while data := await answers.read(65536):
                await asyncio.sleep(0 if subscribed else self.delay)
                if not (subscribed and self.deaf):
                    writer.write(data)
            writer.close()

        answers, server = await asyncio.open_connection("127.0.0.1", self._server.port)
        passing = asyncio.create_task(to_client(answers))
        try:
            while data := await reader.read(65536):
                subscribed = subscribed or b"SUBSCRIBE" in data
                server.write(data)
        finally:
            passing.cancel()
            server.close()
            writer.close()
