"""An application on sockets that are open, and how it leaves them without losing a request."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, Final

from aiohttp import web

from gate.config.settings import ServerSettings
from gate.connections import Connections, Factory
from gate.door.door import signs_of
from gate.doors import BACKLOG, open_port
from gate.proxies import Proxies
from gate.runner import DoorRunner

LAST_SECONDS = 0.3
"""After SIGTERM, for requests that are on their way over connections that are open: some round
trips."""

AT_ONCE: Final = 8
"""Connections that are taken in one turn of the loop. With one at a time, the last of a hundred
that come together would wait for a hundred turns, in each of which all the others are answered."""


@contextlib.asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    key: str,
    tls: ssl.SSLContext | None = None,
    grace: float = 1.0,
    doors: list[socket.socket] | None = None,
    inner: socket.socket | None = None,
    bounds: ServerSettings | None = None,
) -> AsyncIterator[int]:
    """An application on TCP sockets, whose port is yielded, or on `doors` that are open already.
    `key` is the setting or option that names the port, `bounds` has those of connections, and
    `inner` is for those that have none: the other workers. Raises `ServeProblem` where the sockets
    cannot be had."""
    leaving = asyncio.Event()
    app.on_response_prepare.append(partial(_say_farewell, leaving))
    if doors is None:
        doors = await asyncio.to_thread(open_port, host, port, key=key)
    runner = _runner(app, grace)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        for door in doors:
            stack.callback(door.close)
        await runner.setup()
        assert runner.server is not None, "set up just now"
        number = port_of(doors)
        factory: Factory = runner.server
        if inner is not None:
            stack.callback((await _listener(factory, inner, None, None)).close)
        if bounds is not None:
            proxies = Proxies(bounds.trusted_proxies)
            connections = Connections(bounds, proxies, factory, signs_of)
            factory = await stack.enter_async_context(connections)
        listeners = [
            await _listener(factory, each, tls, bounds) for door in doors for each in _all_at(door)
        ]
        for listener in listeners:
            stack.callback(listener.close)
        yield number
        leaving.set()
        if runner.doors is not None:
            runner.doors.leaving = True
        await _take_the_last(listeners, runner.server, tls)


def _runner(app: web.Application, grace: float) -> DoorRunner:
    return DoorRunner(
        app,
        handle_signals=False,
        # aiohttp waits twice, for requests and for their connections, and for ever where told 0
        shutdown_timeout=max(grace / 2, 0.01),
        tcp_keepalive=False,  # the doors have seen to it
    )


async def _listener(
    factory: Factory,
    door: socket.socket,
    tls: ssl.SSLContext | None,
    bounds: ServerSettings | None,
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    patience = None if bounds is None or tls is None else bounds.header_timeout
    if door.family == socket.AF_INET or door.family == socket.AF_INET6:
        return await loop.create_server(
            factory, sock=door, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=patience
        )
    return await loop.create_unix_server(factory, sock=door, backlog=BACKLOG)


def _all_at(door: socket.socket) -> list[socket.socket]:
    """The socket as often as connections may be taken from it in one turn of the loop, in which all
    that is asked on the others is answered: by itself it would give one."""
    if door.family not in (socket.AF_INET, socket.AF_INET6):
        return [door]
    return [door, *(door.dup() for _ in range(AT_ONCE - 1))]


def port_of(doors: list[socket.socket]) -> int:
    """The port that all of them have; 0 for a socket in the file system."""
    name = doors[0].getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


async def _say_farewell(
    leaving: asyncio.Event, request: web.Request, response: web.StreamResponse
) -> None:
    if leaving.is_set():
        response.headers["Connection"] = "close"
        response.force_close()


async def _take_the_last(
    listeners: list[asyncio.Server], server: Any, tls: ssl.SSLContext | None
) -> None:
    """Stop listening without a reset for those whom the kernel connected already: they would all
    be lost with the socket. Then wait a moment for what they and the others have sent."""
    loop = asyncio.get_running_loop()
    doors = [each.dup() for listener in listeners for each in listener.sockets]
    for listener in listeners:
        listener.close()
    late = [each for door in doors for each in _waiting(door)]
    end = loop.time() + LAST_SECONDS
    async with asyncio.TaskGroup() as group:
        for each in late:
            group.create_task(_welcome(each, server, tls))
    while server.connections and loop.time() < end:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)


def _waiting(door: socket.socket) -> Iterator[socket.socket]:
    """The connections in a listening socket's queue; closes it."""
    door.setblocking(False)
    with door, contextlib.suppress(OSError):
        while True:
            yield door.accept()[0]


async def _welcome(each: socket.socket, server: Any, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            await loop.connect_accepted_socket(server, each, ssl=tls)
