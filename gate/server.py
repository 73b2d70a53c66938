"""Runs the application on sockets: start, signals, drain, stop.

Everything that can be wrong is found in `prepare`, before anything listens.
"""

import asyncio
import contextlib
import errno
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from gate.app import MIB, READINESS, make_app
from gate.keys import KeyProblem, Keys, open_keys
from gate.settings import ServerSettings, Settings
from gate.site import Site, read_site
from gate.spelling import is_loopback
from gate.tree import TreeProblem
from gate.verifier import tls_context
from gate.writer import LineWriter, WriterHandler

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class StartProblem(Exception):
    """The gate cannot start with these settings: every problem found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ServeProblem(Exception):
    """The gate could not go on listening; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a start needs and what can fail."""

    settings: Settings
    site: Site
    keys: Keys
    tls: ssl.SSLContext | None


def prepare(settings: Settings) -> Prepared:
    """Read the site, open the keys, load the certificates. Raises `StartProblem`."""
    problems: list[str] = []
    site = keys = tls = None
    try:
        site = read_site(
            settings.site.root,
            public=settings.site.public,
            memory_bytes=settings.site.memory_mib * MIB,
        )
    except TreeProblem as problem:
        problems.append(f"[site] root: {problem}")
    try:
        keys = open_keys(settings.session, settings.server.state_dir)
    except KeyProblem as problem:
        problems.append(f"[session] keys: {problem}")
    try:
        tls = _server_tls(settings.server)
    except (OSError, ValueError) as problem:
        problems.append(f"[server] tls_certificate: cannot be used with tls_key: {problem}")
    try:
        tls_context(settings.verify)
    except (OSError, ValueError) as problem:
        problems.append(f"[verify] ca_file or client_certificate: cannot be used: {problem}")
    if problems or site is None or keys is None:
        raise StartProblem(problems)
    return Prepared(settings, site, keys, tls)


def _server_tls(server: ServerSettings) -> ssl.SSLContext | None:
    if server.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.tls_certificate, server.tls_key)
    return context


async def serve(prepared: Prepared, output: LineWriter) -> None:
    """Listen until a signal ends it. Raises `ServeProblem`."""
    server = prepared.settings.server
    async with running(prepared, output) as app:
        log.info("serving %s on %s", prepared.site.root, address(server))
        if not server.public_url and not is_loopback(server.host):
            log.warning(
                "[server] public_url is empty: set it to the https address that browsers see"
            )
        await signalled()
        app[READINESS].problem = "draining"
        log.info("stopping: requests under way have %g s to finish", server.shutdown_grace)
        if server.drain_delay:
            await asyncio.sleep(server.drain_delay)


@contextlib.asynccontextmanager
async def running(
    prepared: Prepared, output: LineWriter, *, key: str = "[server] port"
) -> AsyncIterator[web.Application]:
    """The application on its socket, for as long as the context lasts."""
    settings = prepared.settings
    app = make_app(settings, site=prepared.site, keys=prepared.keys, output=output)
    async with listening(
        app,
        settings.server.host,
        settings.server.port,
        tls=prepared.tls,
        grace=settings.server.shutdown_grace,
        key=key,
    ):
        yield app


@contextlib.asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    key: str,
    tls: ssl.SSLContext | None = None,
    grace: float = 1.0,
) -> AsyncIterator[None]:
    """An application on a TCP socket. `key` is the setting or option that names the port.

    Raises `ServeProblem` where the socket cannot be had.
    """
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=grace)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise ServeProblem(_why_not(error, host, port, key)) from None
        yield
    finally:
        await runner.cleanup()


def _why_not(error: OSError, host: str, port: int, key: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: change {key}"
    reason = (error.strerror or str(error)).lower()
    return f"cannot listen on {host} port {port}: {reason}: change {key} or host"


async def signalled() -> None:
    """Wait for the first signal; a second one ends the process at once, by its default."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def first(which: signal.Signals) -> None:
        came.set()
        loop.remove_signal_handler(which)

    for which in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C cancels instead
            loop.add_signal_handler(which, first, which)
    try:
        await came.wait()
    finally:
        for which in _SIGNALS:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(which)


def address(server: ServerSettings) -> str:
    """Where the gate listens, as a URL."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{'https' if server.tls_certificate else 'http'}://{host}:{server.port}"


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


@contextlib.contextmanager
def logging_to_standard_error(level: str) -> Iterator[None]:
    """Send the log to standard error through a writer that never blocks."""
    writer = LineWriter(sys.stderr.fileno())
    handler = WriterHandler(writer)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        writer.close()
