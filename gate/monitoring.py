"""What the gate tells operators of itself: /-/metrics for Prometheus, /-/status for people.

Counts are pulled when somebody asks, and every few seconds for the last hour's charts and for the
other workers. Nobody below knows of it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from gate.credential import Credential
from gate.observe.collector import Source, collected
from gate.observe.history import History, last_hour
from gate.observe.metrics import CONTENT_TYPE, Readings, exposition, joined
from gate.observe.problems import Problems, newest
from gate.observe.process import process_readings
from gate.observe.snapshots import Snapshot, Snapshots
from gate.observe.status_page import Now, StatusPage
from gate.outcome import Outcome
from gate.readiness import Readiness
from gate.scope import scope_of
from gate.site.record import SiteRecord

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Between two looks at the counters."""

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_STYLES: Final = Path(__file__).parent / "static" / "status.css"


class Monitor:
    """Knows what goes on, in this worker and, with `snapshots`, in the others. `wall` is Unix time
    in seconds. Use it as an async context manager."""

    def __init__(
        self,
        sources: Sequence[Source],
        problems: Problems,
        *,
        wall: Callable[[], float],
        snapshots: Snapshots | None = None,
    ) -> None:
        self._sources = sources
        self._problems = problems
        self._wall = wall
        self._snapshots = snapshots
        self._history = History()
        self._writing = asyncio.Lock()
        self._unwritten: str | None = None

    async def __aenter__(self) -> "Monitor":
        logging.getLogger().addHandler(self._problems)
        self._looking = asyncio.create_task(self._look_again_and_again())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])
        logging.getLogger().removeHandler(self._problems)

    async def readings(self) -> Readings:
        """The metrics of the whole gate."""
        return joined(each.readings for each in await self._everybody())

    async def now(self) -> tuple[float, list[Snapshot]]:
        """The moment, and what each worker knows."""
        return self._wall(), await self._everybody()

    async def _look_again_and_again(self) -> None:
        while True:
            try:
                self._history.note(collected(self._sources), self._wall())
                if self._snapshots is not None:
                    await self._share(self._snapshots)
            except Exception:
                log.exception("the counters could not be read")
            await asyncio.sleep(LOOK_SECONDS)

    async def _mine(self) -> Snapshot:
        readings = collected(self._sources)
        self._history.note(readings, self._wall())
        readings |= await asyncio.to_thread(process_readings)
        return Snapshot(readings, self._history.minutes(), self._problems.last())

    async def _everybody(self) -> list[Snapshot]:
        if self._snapshots is None:
            return [await self._mine()]
        mine = await self._share(self._snapshots)
        if self._unwritten is not None:  # the file of before is older than what was told already
            return [mine]
        return await asyncio.to_thread(self._snapshots.read)

    async def _share(self, snapshots: Snapshots) -> Snapshot:
        async with self._writing:  # or an older one might be written over a newer one
            mine = await self._mine()
            try:
                await asyncio.to_thread(snapshots.write, mine)
                await asyncio.to_thread(snapshots.tidy)
            except OSError as error:
                if self._unwritten is None:
                    log.warning("other workers cannot be told what this one counts: %s", error)
                self._unwritten = str(error)
            else:
                self._unwritten = None
        return mine


class MetricsHandler:
    """`GET /-/metrics`. Without a credential it is open: only for a port of its own."""

    def __init__(self, monitor: Monitor, credential: Credential | None) -> None:
        self._monitor = monitor
        self._credential = credential

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The metrics of all workers, in the text format of Prometheus."""
        if self._credential is not None and not self._credential.is_shown(request.headers):
            return _closed(request, 'Bearer, Basic realm="metrics"')
        _opened(request)
        text = exposition(await self._monitor.readings())
        return web.Response(body=text.encode("utf-8"), headers={"Content-Type": CONTENT_TYPE})


class StatusHandler:
    """`GET /-/status`, and its stylesheet."""

    def __init__(
        self,
        monitor: Monitor,
        page: StatusPage,
        credential: Credential,
        readiness: Readiness,
        record: SiteRecord,
    ) -> None:
        self._monitor = monitor
        self._page = page
        self._credential = credential
        self._readiness = readiness
        self._record = record
        self._styles = _STYLES.read_bytes()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The page; 401 asks for the secret as a password."""
        if not self._credential.is_shown(request.headers):
            return _closed(request, 'Basic realm="status", charset="UTF-8"')
        _opened(request)
        moment, everybody = await self._monitor.now()
        now = Now(
            moment=moment,
            readings=joined(each.readings for each in everybody),
            hour=last_hour((each.minutes for each in everybody), moment),
            problems=newest(each.problems for each in everybody),
            not_ready=self._readiness.problem,
            build_problem=self._record.statistics().problem,
        )
        body = await asyncio.to_thread(self._page.html, now)
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY}
        return web.Response(body=body, headers=headers)

    async def stylesheet(self, request: web.Request) -> web.StreamResponse:
        """What the page looks like."""
        return web.Response(body=self._styles, headers={"Content-Type": "text/css; charset=utf-8"})


def metrics_app(handler: MetricsHandler) -> web.Application:
    """The application of `[metrics] port`: nothing but the metrics."""
    app = web.Application(handler_args={"access_log": None})
    app.router.add_get("/-/metrics", handler.handle)
    return app


def _opened(request: web.Request) -> None:
    if (scope := scope_of(request)) is not None:
        scope.outcome = Outcome.ALLOWED


def _closed(request: web.Request, challenge: str) -> web.Response:
    if (scope := scope_of(request)) is not None:
        scope.outcome = Outcome.REFUSED
    return web.Response(
        status=401,
        text="this needs the secret of the settings, in an Authorization header\n",
        headers={"WWW-Authenticate": challenge},
    )
