"""Runs the gate, as one process or several: start, signals, drain, stop.

Everything that can be wrong is found in `prepare`, before anything listens.
"""

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gate.app import METRICS, READINESS, make_app
from gate.certificates import Certificates
from gate.config.settings import MetricsSettings, ServerSettings, Settings
from gate.config.spelling import is_loopback
from gate.connections import raise_the_limit
from gate.doors import clear_path, open_path, open_port
from gate.listening import listening, port_of
from gate.monitoring import metrics_app
from gate.observe.snapshots import Snapshots
from gate.observe.writer import LineWriter, lines_to_standard_output, logging_to_standard_error
from gate.parts import open_site
from gate.reload import Reloader
from gate.sign_in.neighbours import ALONE as NO_NEIGHBOURS
from gate.sign_in.neighbours import Neighbours
from gate.signals import leash_signal, stop_signal, switch_level_by_signal
from gate.site.haste import Haste
from gate.site.tree import TreeProblem, signature
from gate.site.watch import Meet, alone
from gate.start import Prepared, prepare
from gate.watching import SNAPSHOTS
from gate.workers import Meeting, Workers, heard

log = logging.getLogger(__name__)

COLLECT_AFTER = 20_000
"""New objects between two looks of the collector; Python looks after every 700."""


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
    switch_level_by_signal()
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
    switch_level_by_signal()
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
    log.info("serving %s on %s", prepared.state.site.root, address(server, port_of(doors)))
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
