"""Runs the application on sockets: start, signals, drain, stop.

Everything that can be wrong is found in `prepare`, before anything listens.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Coroutine, Iterator
from functools import partial
from typing import Any

from aiohttp import web

from gate.app import METRICS, READINESS, make_app
from gate.config.settings import MetricsSettings, ServerSettings, Settings
from gate.config.spelling import is_loopback
from gate.monitoring import metrics_app
from gate.observe.level import LevelSwitch
from gate.observe.writer import LineWriter, lines_to_standard_output, logging_to_standard_error
from gate.runner import DoorRunner
from gate.start import Prepared, prepare

log = logging.getLogger(__name__)

COLLECT_AFTER = 20_000
"""New objects between two looks of the collector; Python looks after every 700."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

BACKLOG = 1024
"""Connections that wait to be accepted; the kernel's own bound is net.core.somaxconn."""

LAST_SECONDS = 0.3
"""After SIGTERM, for requests that are on their way over connections that are open: some round
trips."""


class ServeProblem(Exception):
    """The gate could not go on listening; the message says what to change."""


def main(settings: Settings) -> None:
    """`gate serve`, until a signal. Raises `StartProblem` and `ServeProblem`."""
    with logging_to_standard_error(settings.log.level):
        prepared = prepare(settings)
        with lines_to_standard_output() as output:
            run(serve(prepared, output))


async def serve(prepared: Prepared, output: LineWriter) -> None:
    """Listen until a signal ends it. Raises `ServeProblem`."""
    server = prepared.settings.server
    stop = stop_signal()
    _switch_level_by_signal()
    _spare_the_collector()
    async with running(prepared, output) as (app, port):
        log.info("serving %s on %s", prepared.state.site.root, address(server, port))
        if not server.public_url and not is_loopback(server.host):
            log.warning(
                "[server] public_url is empty: set it to the https address that browsers see"
            )
        await stop.wait()
        app[READINESS].fail("drain", "draining")
        log.info("stopping: requests under way have %g s to finish", server.shutdown_grace)
        if server.drain_delay:
            await asyncio.sleep(server.drain_delay)


def _spare_the_collector() -> None:
    """What a start made stays: the collector need not look through the whole site again and again.
    Requests leave hardly a cycle behind, so that it may also come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


@contextlib.asynccontextmanager
async def running(
    prepared: Prepared, output: LineWriter, *, key: str = "[server] port"
) -> AsyncIterator[tuple[web.Application, int]]:
    """The application on its socket, and the socket's port, for as long as the context lasts."""
    settings = prepared.settings
    app = make_app(settings, prepared.state, output=output)
    async with (
        listening(
            app,
            settings.server.host,
            settings.server.port,
            tls=prepared.tls,
            grace=settings.server.shutdown_grace,
            key=key,
        ) as port,
        _metrics_port(app, settings.metrics),
    ):
        yield app, port


@contextlib.asynccontextmanager
async def _metrics_port(app: web.Application, metrics: MetricsSettings) -> AsyncIterator[None]:
    """The metrics on a port of their own, if they are to have one."""
    if not metrics.port:
        yield
        return
    inner = metrics_app(app[METRICS])
    async with listening(inner, metrics.host, metrics.port, key="[metrics] port"):
        yield


@contextlib.asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    key: str,
    tls: ssl.SSLContext | None = None,
    grace: float = 1.0,
) -> AsyncIterator[int]:
    """An application on a TCP socket, whose port is yielded. `key` is the setting or option that
    names the port. Raises `ServeProblem` where the socket cannot be had."""
    leaving = asyncio.Event()
    app.on_response_prepare.append(partial(_say_farewell, leaving))
    # aiohttp waits twice, for requests and for their connections, and for ever where told 0
    runner = DoorRunner(app, handle_signals=False, shutdown_timeout=max(grace / 2, 0.01))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        assert runner.server is not None, "set up just now"
        try:
            listener = await asyncio.get_running_loop().create_server(
                runner.server, host, port, ssl=tls, backlog=BACKLOG
            )
        except OSError as error:
            raise ServeProblem(_why_not(error, host, port, key)) from None
        stack.callback(listener.close)
        yield listener.sockets[0].getsockname()[1]
        leaving.set()
        if runner.doors is not None:
            runner.doors.leaving = True
        await _take_the_last(listener, runner.server, tls)


async def _say_farewell(
    leaving: asyncio.Event, request: web.Request, response: web.StreamResponse
) -> None:
    if leaving.is_set():
        response.headers["Connection"] = "close"
        response.force_close()


async def _take_the_last(listener: asyncio.Server, server: Any, tls: ssl.SSLContext | None) -> None:
    """Stop listening without a reset for those whom the kernel connected already: they would all
    be lost with the socket. Then wait a moment for what they and the others have sent."""
    loop = asyncio.get_running_loop()
    doors = [each.dup() for each in listener.sockets]
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


def _why_not(error: OSError, host: str, port: int, key: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: change {key}"
    reason = (error.strerror or str(error)).lower()
    return f"cannot listen on {host} port {port}: {reason}: change {key} or host"


def stop_signal() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def on(which: signal.Signals) -> None:
        if came.is_set():
            _end_by(which)
        came.set()

    for which in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C cancels instead
            loop.add_signal_handler(which, on, which)
    return came


def _switch_level_by_signal() -> None:
    """SIGUSR1 turns debugging on and off."""
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has no such signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, LevelSwitch().turn)


def _end_by(which: signal.Signals) -> None:
    signal.signal(which, signal.SIG_DFL)
    os.kill(os.getpid(), which)
    os._exit(128 + which)  # a container's first process is not killed by its own signals


def address(server: ServerSettings, port: int) -> str:
    """Where the gate listens, as a URL."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{'https' if server.tls_certificate else 'http'}://{host}:{port}"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where the platform has it."""
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
