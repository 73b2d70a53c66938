"""Puts the gate together: the only place that lists routes, order and lifetimes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler, Middleware

from gate.clocks import CLOCKS, Clocks
from gate.config.settings import Settings
from gate.door.hot import HotReads
from gate.embed import ShellHandlers, embed_script, shell_script
from gate.entrance import Entrance
from gate.forms import MAX_FORM_BYTES
from gate.forward_auth import ForwardAuth
from gate.handlers import SessionHandlers, StatusHandlers
from gate.limits import FailureLimits
from gate.middleware import Guard
from gate.monitoring import MetricsHandler
from gate.observe.access_log import AccessLog, Output
from gate.operations import RevokeHandler
from gate.parts import Parts, State, make_parts, open_site
from gate.readiness import Readiness
from gate.sign_in.neighbours import ALONE, Neighbours
from gate.sign_in.wiring import SignIn
from gate.site.current import CurrentSite
from gate.site.watch import Meet, Watcher, alone
from gate.state.journal import JournalProblem
from gate.state.revocations import UNWRITTEN, Revocations
from gate.watching import Watch, Watched

log = logging.getLogger(__name__)

TIDY_SECONDS = 600
"""Between looks for revocations that have run out."""

WRITE_SECONDS = 5
"""Between attempts to write what could not be written to `state_dir`."""


Routes = dict[str, tuple[tuple[str, ...], Handler]]
"""Methods and handler by path."""

READ = ("GET", "HEAD")

ROUTES = web.AppKey("routes", dict[str, tuple[str, ...]])
"""The gate's own routes with their methods: all of them public, each closed by its own rule."""

READINESS = web.AppKey("readiness", Readiness)

HOT = web.AppKey("hot", HotReads)
"""What the fast door answers with; absent where it is turned off."""

METRICS = web.AppKey("metrics", MetricsHandler)
"""For the port of `[metrics]`."""

SITE = web.AppKey("site", CurrentSite)
LIMITS = web.AppKey("limits", FailureLimits)
WATCHER = web.AppKey("watcher", Watcher)


def make_app(
    settings: Settings,
    state: State,
    *,
    output: Output,
    clocks: Clocks = CLOCKS,
    meet: Meet = alone,
    neighbours: Neighbours = ALONE,
) -> web.Application:
    """The application of `gate serve`, of the demo and of the tests.

    `output` gets the access log; `meet` waits for other workers where there are, and `neighbours`
    are they. Starting the application opens the connections to the verify API, ending it closes
    them.
    """
    parts = make_parts(settings, state, clocks, neighbours)
    watch = _watch(settings, state, parts, output, clocks)
    own = {**_own_routes(settings, state, parts, clocks), **watch.routes()}
    places = dict.fromkeys(("", settings.server.prefix))
    routes = {at + path: methods for at in places for path, (methods, _) in own.items()}
    app = web.Application(
        middlewares=_corridor(settings, parts, routes),
        client_max_size=MAX_FORM_BYTES,
        handler_args=_server_arguments(settings, watch.access_log.logger_class()),
    )
    app[READINESS] = parts.readiness
    app[SITE] = parts.around.current
    app[ROUTES] = routes
    app[METRICS] = watch.metrics
    for at in places:
        for path, (_, handler) in own.items():
            app.router.add_route("*", at + path, handler)
    app.router.add_static("/", state.site.root)
    app.on_response_prepare.append(parts.headers.on_prepare)
    app[LIMITS] = parts.limits
    app[WATCHER] = watcher = _watcher(settings, parts, clocks, meet)
    if _has_fast_door(settings):
        keepalive = settings.server.keepalive_timeout
        app[HOT] = _hot_reads(parts, watch.access_log, clocks.wall, keepalive)
    works = [watcher.run] if settings.site.reload else []
    app.on_shutdown.append(parts.sign_in.stop)
    app.cleanup_ctx.append(partial(_lifetime, parts, watch, state.revocations, works))
    return app


def _watcher(settings: Settings, parts: Parts, clocks: Clocks, meet: Meet) -> Watcher:
    return Watcher(
        parts.around.current,
        settings.site.root,
        partial(open_site, settings.site),
        parts.readiness,
        prefix=settings.server.prefix,
        clock=clocks.monotonic,
        wall=clocks.wall,
        meet=meet,
        record=parts.record,
    )


def _own_routes(settings: Settings, state: State, parts: Parts, clocks: Clocks) -> Routes:
    """Everything under /-/."""
    status = StatusHandlers(parts.pages, parts.readiness)
    return {
        **_session_routes(settings, state, parts),
        **_frame_routes(parts, clocks),
        **_operators_routes(settings, state, parts),
        **parts.sign_in.routes,
        "/-/healthz": (READ, status.healthz),
        "/-/readyz": (READ, status.readyz),
        "/-/gate.css": (READ, status.stylesheet),
        "/-/logo": (READ, status.logo),
        "/-/page.js": (READ, status.script),
    }


def _session_routes(settings: Settings, state: State, parts: Parts) -> Routes:
    around = parts.around
    handle = SessionHandlers(
        current=around.current,
        admission=around.admission,
        revocations=state.revocations,
        reader=around.reader,
        origins=around.origins,
        answers=around.answers,
        recent=around.recent,
        readiness=parts.readiness,
        paths=parts.paths,
        patience=around.patience,
        prefix=settings.server.prefix,
    )
    own: Routes = {
        "/-/sign-out": ((*READ, "POST"), _sign_out(handle, parts.sign_in)),
        "/-/signed-out": (READ, handle.signed_out),
    }
    if settings.intake.form:
        own["/-/session"] = (("POST",), handle.intake)
    return own


def _frame_routes(parts: Parts, clocks: Clocks) -> Routes:
    around = parts.around
    shell = ShellHandlers(
        pages=parts.pages,
        access=around.access,
        admission=around.admission,
        seal=around.seal,
        paths=parts.paths,
        origins=around.origins,
        answers=around.answers,
        clocks=clocks,
        patience=around.patience,
    )
    return {
        "/-/embed.js": (READ, embed_script().handle),
        "/-/frame.js": (READ, shell_script().handle),
        "/-/frame": (READ, shell.shell),
        "/-/frame/session": (("GET",), shell.session),
        "/-/frame/prefix": (("POST",), shell.prefix),
    }


def _operators_routes(settings: Settings, state: State, parts: Parts) -> Routes:
    around = parts.around
    forward_auth = ForwardAuth(
        access=around.access,
        admission=around.admission,
        seal=around.seal,
        reader=around.reader,
        answers=around.answers,
    )
    own: Routes = {"/-/auth": (READ, forward_auth.handle)}
    if secret := settings.revoke.secret.get_secret_value():
        revoke = RevokeHandler(
            secret, state.revocations, around.answers, parts.readiness, around.patience
        )
        own["/-/revoke"] = (("POST",), revoke.handle)
    return own


def _sign_out(handle: SessionHandlers, sign_in: SignIn) -> Handler:
    """The button by GET, what it does by POST."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return await (
            handle.sign_out(request) if request.method == "POST" else sign_in.sign_out_page(request)
        )

    return handler


def _watch(settings: Settings, state: State, parts: Parts, output: Output, clocks: Clocks) -> Watch:
    deciding = parts.deciding
    rooms = Watched(
        verifications=deciding.verifications,
        breaker=deciding.verifier.breaker,
        cache=deciding.cache,
        shared=deciding.shared,
        sign_ins=parts.sign_in.statistics,
        seal=parts.around.seal,
        revocations=state.revocations,
        record=parts.record,
        readiness=parts.readiness,
    )
    secret, spans = state.keys.newest("log"), deciding.spans
    return Watch(settings, rooms, output=output, secret=secret, spans=spans, clocks=clocks)


def _corridor(
    settings: Settings, parts: Parts, routes: dict[str, tuple[str, ...]]
) -> list[Middleware]:
    """The layers that every request walks, outermost first."""
    around, spans = parts.around, parts.deciding.spans
    guard = Guard(
        routes=routes,
        current=around.current,
        access=around.access,
        admission=around.admission,
        seal=around.seal,
        reader=around.reader,
        origins=around.origins,
        answers=around.answers,
        recent=around.recent,
        paths=parts.paths,
        manner=parts.manner,
        sign_in=parts.sign_in,
    )
    keeps = None if spans is None else spans.keeps
    prefix = settings.server.prefix
    return [Entrance(around.answers, parts.proxies, guard, keeps, prefix=prefix).walk]


def _has_fast_door(settings: Settings) -> bool:
    """Not where every request has a span of its own, nor where paths have a prefix."""
    server = settings.server
    return server.fast_door and not settings.tracing.enabled and not server.prefix


def _hot_reads(
    parts: Parts, log: AccessLog, wall: Callable[[], float], keepalive_timeout: float
) -> HotReads:
    """The fast door's share: the same rooms as the corridor's."""
    around, current = parts.around, parts.around.current
    return HotReads(
        build=lambda: current.build,
        wall=wall,
        access=around.access,
        seal=around.seal,
        reader=around.reader,
        proxies=parts.proxies,
        manner=parts.manner,
        recent=around.recent,
        headers=parts.headers,
        log=log,
        keepalive_timeout=keepalive_timeout,
    )


def _server_arguments(settings: Settings, logger: type[AbstractAccessLogger]) -> dict[str, Any]:
    """How aiohttp's server treats connections; test servers get the same."""
    return {
        "access_log_class": logger,
        "keepalive_timeout": settings.server.keepalive_timeout,
        "auto_decompress": False,  # a compressed form is none that we read
        "lingering_time": 2.0,
        "max_line_size": settings.server.line_bytes,
        "max_field_size": settings.server.header_bytes,
        "handler_cancellation": False,  # aiohttp's test server would have it otherwise
    }


async def _lifetime(
    parts: Parts,
    watch: Watch,
    revocations: Revocations,
    more: list[Callable[[], Coroutine[Any, Any, None]]],
    app: web.Application,
) -> AsyncIterator[None]:
    deciding = parts.deciding
    async with AsyncExitStack() as stack:
        stack.callback(revocations.close)
        stack.callback(watch.access_log.flush)
        if deciding.spans is not None:
            await stack.enter_async_context(deciding.spans)
        await stack.enter_async_context(watch.monitor)
        await stack.enter_async_context(deciding.verifier)
        await stack.enter_async_context(parts.sign_in.running())
        if deciding.shared is not None:
            await stack.enter_async_context(deciding.shared)
        await stack.enter_async_context(parts.around.current)
        works = [_tidy(revocations), _write(revocations, parts.readiness)]
        for work in [*works, *(each() for each in more)]:
            stack.callback(asyncio.create_task(work).cancel)
        yield


async def _tidy(revocations: Revocations) -> None:
    """Now and then forget the revocations that have run out."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        try:
            await revocations.tidy()
        except JournalProblem as problem:
            log.warning("revocations that have run out are kept: %s", problem)


async def _write(revocations: Revocations, readiness: Readiness) -> None:
    """Write down what could not be written when it was ended, once the disk lets us."""
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        with suppress(JournalProblem):  # readiness says so already
            await revocations.write()
            readiness.clear(UNWRITTEN)
