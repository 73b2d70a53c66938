"""Runs the application on sockets: start, signals, drain, stop.

Everything that can be wrong is found in `prepare`, before anything listens.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gate.app import METRICS, READINESS, make_app
from gate.certificates import Certificates
from gate.config.settings import MetricsSettings, ServerSettings, Settings
from gate.config.spelling import is_loopback
from gate.connections import Connections, Factory, raise_the_limit
from gate.door.door import signs_of
from gate.doors import BACKLOG, ServeProblem, clear_path, open_path, open_port
from gate.monitoring import metrics_app
from gate.observe.level import LevelSwitch
from gate.observe.snapshots import Snapshots
from gate.observe.writer import LineWriter, lines_to_standard_output, logging_to_standard_error
from gate.parts import open_site
from gate.proxies import Proxies
from gate.reload import Reloader
from gate.runner import DoorRunner
from gate.sign_in.neighbours import ALONE as NO_NEIGHBOURS
from gate.sign_in.neighbours import Neighbours
from gate.site.haste import Haste
from gate.site.tree import TreeProblem, signature
from gate.site.watch import Meet, alone
from gate.start import Prepared, prepare
from gate.watching import SNAPSHOTS
from gate.workers import Meeting, Workers, heard

__all__ = ["ServeProblem", "listening", "main", "running", "serve", "stop_signal"]

log = logging.getLogger(__name__)

COLLECT_AFTER = 20_000
"""New objects between two looks of the collector; Python looks after every 700."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

LAST_SECONDS = 0.3
"""After SIGTERM, for requests that are on their way over connections that are open: some round
trips."""


def main(settings: Settings, again: Callable[[], Settings] | None = None) -> None:
    """`gate serve`, until a signal; `again` reads the settings anew for SIGHUP. Raises
    `StartProblem` and `ServeProblem`."""
    with logging_to_standard_error(settings.log.level):
        raise_the_limit()
        gc.freeze()  # the collector would go through all modules many times while a site is read
        gc.set_threshold(COLLECT_AFTER)
        prepared = prepare(settings)
        if settings.server.workers == 1:
            with lines_to_standard_output() as output:
                run(serve(prepared, output, again))
        else:
            serve_by_workers(prepared, again)


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker's place among the others."""

    meet: Meet = alone
    neighbours: Neighbours = NO_NEIGHBOURS
    door: socket.socket | None = None
    """By which they hand it requests."""
    first: bool = True
    """The first has the port of `[metrics]`."""


ALONE: Final = Seat()

AT_ONCE: Final = 8
"""Connections that are taken in one turn of the loop. With one at a time, the last of a hundred
that come together would wait for a hundred turns, in each of which all the others are answered."""


def serve_by_workers(prepared: Prepared, again: Callable[[], Settings] | None) -> None:
    """The same by several processes. Raises `ServeProblem`."""
    server = prepared.settings.server
    doors = open_doors(server)
    inner = _inner_doors(prepared.settings)
    places = tuple(Path(door.getsockname()) for door in inner)
    meeting = Meeting(server.workers)

    def work(number: int, leash: int) -> None:
        seat = Seat(
            meeting.seat(number),
            Neighbours(number, places),
            inner[number] if inner else None,
            first=number == 0,
        )
        _work(prepared, doors, seat, leash, again)

    def close() -> None:
        log.info("stopping: requests under way have %g s to finish", server.shutdown_grace)
        for door in [*doors, *inner]:  # the workers have theirs: the last of them ends the queue
            door.close()
        for place in places:
            place.unlink(missing_ok=True)

    with contextlib.suppress(OSError):  # the metrics of a run before
        Snapshots(server.state_dir / SNAPSHOTS).clear()
    _spare_the_collector()
    _tell_where(prepared, doors)
    stop = server.drain_delay + server.shutdown_grace
    Workers(server.workers, work, stop=stop, leave=meeting.leave, closing=close).run()


def _inner_doors(settings: Settings) -> list[socket.socket]:
    """Those by which workers hand requests to each other, where they have to. Raises
    `ServeProblem`."""
    if not settings.sign_in.qr.preset:
        return []
    folder = settings.server.state_dir
    for left in folder.glob("worker-*.sock"):
        with contextlib.suppress(OSError):  # those of a gate that runs
            clear_path(left)
    places = [folder / f"worker-{os.getpid()}-{n}.sock" for n in range(settings.server.workers)]
    key = "[server] state_dir"
    return [door for place in places for door in open_path(place, mode=0o600, key=key)]


def _work(
    prepared: Prepared,
    doors: list[socket.socket],
    seat: Seat,
    leash: int,
    again: Callable[[], Settings] | None,
) -> None:
    """What a worker does. The thread that wrote the log did not come along."""
    logging.getLogger().handlers.clear()
    with (
        logging_to_standard_error(prepared.settings.log.level),
        lines_to_standard_output(workers=prepared.settings.server.workers) as output,
    ):
        run(_serve_on(_up_to_date(prepared), output, doors, seat, leash, again))


def _up_to_date(prepared: Prepared) -> Prepared:
    """With the site as the other workers have it by now, where this one takes the place of one
    that died; as it was read at the start where that cannot be."""
    site = prepared.settings.site
    try:
        if not site.reload or signature(site.root) == prepared.state.site.state:
            return prepared
        fresh = open_site(site, prepared.state.site, at_once=Haste())
    except TreeProblem:
        return prepared
    return replace(prepared, state=replace(prepared.state, site=fresh))


async def _serve_on(
    prepared: Prepared,
    output: LineWriter,
    doors: list[socket.socket],
    seat: Seat,
    leash: int,
    again: Callable[[], Settings] | None,
) -> None:
    stop = leash_signal(leash)
    _switch_level_by_signal()
    async with running(prepared, output, doors=doors, seat=seat, again=again) as (app, _):
        heard()
        await stop.wait()
        await _drain(app, prepared.settings.server)


async def serve(
    prepared: Prepared, output: LineWriter, again: Callable[[], Settings] | None = None
) -> None:
    """Listen until a signal ends it. Raises `ServeProblem`."""
    server = prepared.settings.server
    stop = stop_signal()
    _switch_level_by_signal()
    _spare_the_collector()
    doors = await asyncio.to_thread(open_doors, server)
    async with running(prepared, output, doors=doors, again=again) as (app, _):
        _tell_where(prepared, doors)
        await stop.wait()
        log.info("stopping: requests under way have %g s to finish", server.shutdown_grace)
        await _drain(app, server)


async def _drain(app: web.Application, server: ServerSettings) -> None:
    app[READINESS].fail("drain", "draining")
    if server.drain_delay:
        await asyncio.sleep(server.drain_delay)


def open_doors(server: ServerSettings) -> list[socket.socket]:
    """The sockets that `[server]` names. Raises `ServeProblem`."""
    if server.socket is not None:
        return open_path(server.socket)
    return open_port(server.host, server.port, key="[server] port")


def _tell_where(prepared: Prepared, doors: list[socket.socket]) -> None:
    server = prepared.settings.server
    log.info("serving %s on %s", prepared.state.site.root, address(server, _port(doors)))
    if not server.public_url and (server.socket or not is_loopback(server.host)):
        log.warning("[server] public_url is empty: set it to the https address that browsers see")
    if server.prefix:
        log.warning(
            "[server] public_url has a path: every application of that host gets the cookie, and "
            "each can read the site with it"
        )


def _spare_the_collector() -> None:
    """What a start made stays: the collector need not look through the whole site again and again.
    Requests leave hardly a cycle behind, so that it may also come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


@contextlib.asynccontextmanager
async def running(
    prepared: Prepared,
    output: LineWriter,
    *,
    key: str = "[server] port",
    doors: list[socket.socket] | None = None,
    seat: Seat = ALONE,
    again: Callable[[], Settings] | None = None,
) -> AsyncIterator[tuple[web.Application, int]]:
    """The application on its sockets, and their port, for as long as the context lasts."""
    settings = prepared.settings
    app = make_app(
        settings, prepared.state, output=output, meet=seat.meet, neighbours=seat.neighbours
    )
    certificates = Certificates(settings.server, prepared.tls, app[READINESS])
    metrics = settings.metrics if seat.first else None
    async with (
        listening(
            app,
            settings.server.host,
            settings.server.port,
            tls=prepared.tls,
            grace=settings.server.shutdown_grace,
            key=key,
            doors=doors,
            inner=seat.door,
            bounds=settings.server,
        ) as port,
        certificates,
        Reloader(settings, again, app, certificates),
        _metrics_port(app, metrics),
    ):
        yield app, port


@contextlib.asynccontextmanager
async def _metrics_port(
    app: web.Application, metrics: MetricsSettings | None
) -> AsyncIterator[None]:
    """The metrics on a port of their own, if they are to have one."""
    if metrics is None or not metrics.port:
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
    # aiohttp waits twice, for requests and for their connections, and for ever where told 0
    runner = DoorRunner(
        app,
        handle_signals=False,
        shutdown_timeout=max(grace / 2, 0.01),
        tcp_keepalive=False,  # the doors have seen to it
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        for door in doors:
            stack.callback(door.close)
        await runner.setup()
        assert runner.server is not None, "set up just now"
        number = _port(doors)
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


def _port(doors: list[socket.socket]) -> int:
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


def leash_signal(leash: int) -> asyncio.Event:
    """The same for a worker: it never ends at once by itself, because whoever signals a whole group
    of processes signals it twice. It stops too when the process that holds the leash has gone."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def gone() -> None:
        loop.remove_reader(leash)
        came.set()

    for which in _SIGNALS:
        loop.add_signal_handler(which, came.set)
    loop.add_reader(leash, gone)
    return came


def _end_by(which: signal.Signals) -> None:
    signal.signal(which, signal.SIG_DFL)
    os.kill(os.getpid(), which)
    os._exit(128 + which)  # a container's first process is not killed by its own signals


def address(server: ServerSettings, port: int) -> str:
    """Where the gate listens, as a URL, or the path of its socket."""
    if server.socket is not None:
        return str(server.socket)
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
