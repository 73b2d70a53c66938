"""The link to the shared server, Redis or Valkey: some connections for calls and one that listens.

A link lives as long as its listening connection: once that is lost messages may be too, so there
is no mending, only a new link. Every wait has an end, and every failure is a `SharedGone` whose
message holds neither address nor password nor what the server said.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.asyncio.connection import (
    BlockingConnectionPool,
    Connection,
    RedisSSLContext,
    SSLConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gate.shared.gone import SharedGone, gone
from gate.shared.url import url_problem

Command: TypeAlias = Sequence[bytes | str | int | float]

PREFIX = b"docs-gate:1:"
"""Of everything that is kept on the server, and of the channel."""

_PROBE = PREFIX + b"probe"

MAX_CONNECTIONS = 16
"""For calls, of each process; a call takes one for a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: the limits of a link, and how often it is looked after."""

    call: float = 0.25
    """All that a reader's request may wait, a free connection included."""
    connect: float = 1.0
    """For everything else: until a connection stands, a ping is answered, a revocation written."""
    beat: float = 5.0
    """Between two looks at the link: a connection may die without a sound."""
    reload: float = 60.0
    """Between two readings of all revocations: messages may get lost without a sound."""
    retry_first: float = 0.5
    retry_last: float = 10.0
    """The pauses between attempts at a new link: the first, and the longest."""


PACE = Pace()


class Link:
    """A standing link. Make one with `linked`."""

    def __init__(self, pool: Any, listening: Any, pace: Pace) -> None:
        # redis-py types pool and connection too loosely for strict checks
        self._pool = pool
        self._listening = listening
        self._pace = pace
        self._heard = asyncio.Event()

    async def call(self, *command: bytes | str | int | float) -> Any:
        """The answer to a command. Raises `SharedGone` within `Pace.connect`."""
        return (await self.calls([command]))[0]

    async def calls(self, commands: Sequence[Command], within: float | None = None) -> list[Any]:
        """The answers to commands that go out together. Raises `SharedGone` within that many
        seconds (`Pace.connect` if None), also where one command alone failed."""
        deadline = _now() + (self._pace.connect if within is None else within)
        async with _until(deadline):
            connection = await self._pool.get_connection()
        try:
            async with _until(deadline):
                await connection.send_packed_command(connection.pack_commands(commands))
                return [await connection.read_response() for _ in commands]
        except SharedGone:
            await _drop(connection)  # answers may still be under way on it
            raise
        finally:
            await self._pool.release(connection)  # outside the limit, which could interrupt it

    async def probe(self, within: float) -> None:
        """See whether the server reads and writes. Raises `SharedGone` within that many seconds."""
        await self.calls([("SET", _PROBE, b"1", "PX", 60_000), ("GETRANGE", _PROBE, 0, 0)], within)

    async def message(self) -> bytes:
        """The next message. Raises `SharedGone` when the connection is lost."""
        while True:
            async with _until(None):
                answer = await self._listening.read_response()
            self._heard.set()
            match answer:
                case [b"message", _, bytes(data)]:
                    return data

    async def ping(self) -> None:
        """See whether the listening connection is alive. Raises `SharedGone` within `Pace.connect`.

        Somebody has to wait for a message meanwhile.
        """
        if not self._listening.is_connected:  # sending would connect it anew, and nobody would hear
            raise SharedGone("no connection")
        self._heard.clear()
        async with _until(_now() + self._pace.connect):
            await self._listening.send_command("PING")
            await self._heard.wait()


class Linker:
    """Makes links to one server. Raises ValueError where the URL has a problem."""

    def __init__(self, url: str, pace: Pace, max_connections: int = MAX_CONNECTIONS) -> None:
        if (problem := url_problem(url)) is not None:
            raise ValueError(f"the URL of the shared server {problem}")
        self._pace = pace
        self._max_connections = max_connections
        self._options: dict[str, Any] = {
            **parse_url(url),
            "protocol": 2,  # every Redis and Valkey speaks it
            "driver_info": None,  # else each connection looks for its version on the disk
            "socket_connect_timeout": pace.connect,
            "socket_timeout": None,  # the limits are ours
            "retry": Retry(NoBackoff(), 0),
        }
        self._class = self._options.pop("connection_class", Connection)

    @contextlib.asynccontextmanager
    async def linked(self, channel: bytes) -> AsyncIterator[Link]:
        """A new link that listens to a channel. Raises `SharedGone` within `Pace.connect`."""
        pool: Any = await self._pool()
        connection = pool.make_connection()
        try:
            async with _until(_now() + self._pace.connect):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", channel)
                await connection.read_response()
            yield Link(pool, connection, self._pace)
        finally:
            await _drop(connection)
            with contextlib.suppress(RedisError, OSError):
                await pool.disconnect()

    async def _pool(self) -> BlockingConnectionPool:
        options = dict(self._options)
        kind = self._class
        if kind is SSLConnection:
            kind, options = _TlsConnection, await asyncio.to_thread(_with_context, options)
        return BlockingConnectionPool(
            connection_class=kind, max_connections=self._max_connections, timeout=None, **options
        )


class _TlsConnection(SSLConnection):
    """Takes its TLS context ready-made: reading the certificates blocks, so it is done once a link,
    in a thread, and not once a connection."""

    def __init__(self, *, context: RedisSSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context = context


def _with_context(options: dict[str, Any]) -> dict[str, Any]:
    files = {name: options.pop(f"ssl_{name}", None) for name in ("ca_certs", "certfile", "keyfile")}
    context = RedisSSLContext(cert_reqs="required", check_hostname=True, **files)
    with _spoken():
        context.get()
    return {**options, "context": context}


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def _until(deadline: float | None) -> AsyncIterator[None]:
    """Whatever goes wrong until then, and running out of time itself, is a `SharedGone`."""
    with _spoken():
        async with asyncio.timeout_at(deadline):
            yield


@contextlib.contextmanager
def _spoken() -> Iterator[None]:
    try:
        yield
    except SharedGone:
        raise
    except Exception as error:  # the server is somebody else's, and so is its protocol
        raise gone(error) from None


def milliseconds(left: float) -> int:
    """A time that is left, as the server wants it: a positive whole number."""
    return max(1, int(left * 1000))


async def _drop(connection: Any) -> None:
    with contextlib.suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)
