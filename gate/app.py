"""Puts the gate together: the only place that lists routes, order and lifetimes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler, Middleware

from gate.access import Access, Tier, Verifier
from gate.admission import Admission, RecentIntakes
from gate.answers import Answers
from gate.brand import open_brand
from gate.cache import VerdictCache
from gate.clocks import CLOCKS, Clocks
from gate.config.settings import Settings, SiteSettings
from gate.cookieless import PathSessions
from gate.door.hot import HotReads
from gate.embed import ShellHandlers, embed_script, shell_script
from gate.entrance import Entrance
from gate.forms import MAX_FORM_BYTES
from gate.forward_auth import ForwardAuth
from gate.handlers import SessionHandlers, StatusHandlers
from gate.headers import ResponseHeaders, frame_ancestors
from gate.intake import AllowedOrigins, Reader, origin_of
from gate.limits import FailureLimits
from gate.manner import Manner
from gate.middleware import Guard
from gate.monitoring import MetricsHandler
from gate.observe.access_log import AccessLog, Output
from gate.observe.verifications import Verifications
from gate.operations import RevokeHandler
from gate.pages import Pages
from gate.proxies import Proxies
from gate.readiness import Readiness
from gate.session import SessionSeal
from gate.sign_in.neighbours import ALONE, Neighbours
from gate.sign_in.surroundings import Surroundings
from gate.sign_in.wiring import SignIn
from gate.site.current import CurrentSite
from gate.site.index import Site, always, read_site
from gate.site.policy import SitePolicy
from gate.site.record import SiteRecord
from gate.site.watch import Meet, Watcher, alone
from gate.state.journal import JournalProblem
from gate.state.keys import Keys
from gate.state.revocations import UNWRITTEN, Revocations
from gate.verify.api import ApiVerifier
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.presets import fingerprint, make_verifier
from gate.watching import Watch, Watched

if TYPE_CHECKING:
    from gate.observe.spans import Spans
    from gate.shared.tier import SharedTier

log = logging.getLogger(__name__)

MIB = 1024 * 1024

TIDY_SECONDS = 600
"""Between looks for revocations that have run out."""

WRITE_SECONDS = 5
"""Between attempts to write what could not be written to `state_dir`."""


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


@dataclass(frozen=True, slots=True)
class State:
    """What a start opened: it outlives requests, and some of it the process."""

    site: Site
    keys: Keys
    revocations: Revocations


@dataclass(frozen=True, slots=True)
class Parts:
    """The collaborators that routes and corridor share."""

    current: CurrentSite
    record: SiteRecord
    seal: SessionSeal
    cache: VerdictCache
    access: Access
    admission: Admission
    verifier: ApiVerifier | JwtVerifier
    verifications: Verifications
    spans: "Spans | None"
    shared: "SharedTier | None"
    reader: Reader
    origins: AllowedOrigins
    pages: Pages
    answers: Answers
    recent: RecentIntakes
    paths: PathSessions
    proxies: Proxies
    manner: Manner
    headers: ResponseHeaders
    sign_in: SignIn
    readiness: Readiness
    limits: FailureLimits


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
    parts = _parts(settings, state, clocks, neighbours)
    watch = _watch(settings, state, parts, output, clocks)
    own = {**_own_routes(settings, state, parts, clocks), **watch.routes()}
    places = dict.fromkeys(("", settings.server.prefix))
    routes = {at + path: methods for at in places for path, (methods, _) in own.items()}
    app = web.Application(
        middlewares=_corridor(settings, state, parts, routes),
        client_max_size=MAX_FORM_BYTES,
        handler_args=_server_arguments(settings, watch.access_log.logger_class()),
    )
    app[READINESS] = parts.readiness
    app[SITE] = parts.current
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


def _parts(settings: Settings, state: State, clocks: Clocks, neighbours: Neighbours) -> Parts:
    prefix = settings.server.prefix
    pages = Pages(open_brand(settings.brand), settings.frame, prefix)
    answers = Answers(pages, prefix=prefix)
    readiness = Readiness()
    seal = SessionSeal(settings.session, state.keys.derive("cookie"), clocks.wall)
    cache = _cache(settings, clocks)
    shared = _shared(settings, state, cache, readiness, clocks)
    verifier = make_verifier(
        settings.verify,
        settings.introspection,
        settings.jwt,
        session_expires=settings.session.expires,
        clock=clocks.monotonic,
        wall=clocks.wall,
    )
    spans = _spans(settings)
    verifications = Verifications(verifier, spans)
    access = _access(settings, state, seal, cache, verifications, shared, clocks)
    limits = FailureLimits(settings.limits, clocks.monotonic)
    current = CurrentSite(state.site, site_policy(settings))
    around = Surroundings(
        current=current,
        access=access,
        admission=Admission(access, seal, answers, limits),
        seal=seal,
        reader=Reader(settings.intake),
        origins=AllowedOrigins(settings.frame.allowed_origins, settings.server.public_url),
        answers=answers,
        recent=RecentIntakes(clocks.monotonic, prefix=prefix),
        patience=settings.server.header_timeout,
    )
    flow_keys = state.keys.derive("flow")
    return Parts(
        current=current,
        record=SiteRecord(state.site, clocks.wall),
        seal=seal,
        cache=cache,
        access=access,
        admission=around.admission,
        verifier=verifier,
        verifications=verifications,
        spans=spans,
        shared=shared,
        reader=around.reader,
        origins=around.origins,
        pages=pages,
        answers=around.answers,
        recent=around.recent,
        sign_in=SignIn(
            settings.sign_in,
            keys=flow_keys,
            brand=pages.brand,
            around=around,
            limits=limits,
            clocks=clocks,
            neighbours=neighbours,
        ),
        paths=PathSessions(
            state.keys.derive("prefix"), clocks.wall, enabled=settings.frame.cookieless
        ),
        proxies=Proxies(
            settings.server.trusted_proxies,
            on_socket=settings.server.socket is not None or bool(neighbours.places),
        ),
        manner=Manner(framed_only=settings.frame.only),
        headers=ResponseHeaders(settings.server, settings.frame),
        readiness=readiness,
        limits=limits,
    )


def open_site(
    settings: SiteSettings,
    like: Site | None = None,
    go_on: Callable[[], bool] = lambda: True,
    at_once: Callable[[int], bool] = always,
) -> Site:
    """Read the site. Raises `TreeProblem`; `like` is the reading before, it stops where `go_on`
    says no, and files of a size that `at_once` says no to are made later."""
    return read_site(
        settings.root,
        public=settings.public,
        memory_bytes=settings.memory_mib * MIB,
        like=like,
        go_on=go_on,
        at_once=at_once,
    )


def _watcher(settings: Settings, parts: Parts, clocks: Clocks, meet: Meet) -> Watcher:
    return Watcher(
        parts.current,
        settings.site.root,
        partial(open_site, settings.site),
        parts.readiness,
        prefix=settings.server.prefix,
        clock=clocks.monotonic,
        wall=clocks.wall,
        meet=meet,
        record=parts.record,
    )


def site_policy(settings: Settings) -> SitePolicy:
    """What the settings say about the content security policies of the site."""
    ancestors = frame_ancestors(settings.frame)
    return SitePolicy(settings.site, ancestors, origin_of(settings.server.public_url) or "")


def _own_routes(
    settings: Settings, state: State, parts: Parts, clocks: Clocks
) -> dict[str, tuple[tuple[str, ...], Handler]]:
    """Everything under /-/: path, methods, handler."""
    handle = SessionHandlers(
        current=parts.current,
        admission=parts.admission,
        revocations=state.revocations,
        reader=parts.reader,
        origins=parts.origins,
        answers=parts.answers,
        recent=parts.recent,
        readiness=parts.readiness,
        paths=parts.paths,
        patience=settings.server.header_timeout,
        prefix=settings.server.prefix,
    )
    status = StatusHandlers(parts.pages, parts.readiness)
    shell = ShellHandlers(
        pages=parts.pages,
        access=parts.access,
        admission=parts.admission,
        seal=parts.seal,
        paths=parts.paths,
        origins=parts.origins,
        answers=parts.answers,
        clocks=clocks,
        patience=settings.server.header_timeout,
    )
    forward_auth = ForwardAuth(
        access=parts.access,
        admission=parts.admission,
        seal=parts.seal,
        reader=parts.reader,
        answers=parts.answers,
    )
    own: dict[str, tuple[tuple[str, ...], Handler]] = {
        "/-/session": (("POST",), handle.intake),
        "/-/sign-out": (("GET", "HEAD", "POST"), _sign_out(handle, parts.sign_in)),
        "/-/signed-out": (("GET", "HEAD"), handle.signed_out),
        "/-/healthz": (("GET", "HEAD"), status.healthz),
        "/-/readyz": (("GET", "HEAD"), status.readyz),
        "/-/auth": (("GET", "HEAD"), forward_auth.handle),
        "/-/gate.css": (("GET", "HEAD"), status.stylesheet),
        "/-/logo": (("GET", "HEAD"), status.logo),
        "/-/page.js": (("GET", "HEAD"), status.script),
        "/-/embed.js": (("GET", "HEAD"), embed_script().handle),
        "/-/frame.js": (("GET", "HEAD"), shell_script().handle),
        "/-/frame": (("GET", "HEAD"), shell.shell),
        "/-/frame/session": (("GET",), shell.session),
        "/-/frame/prefix": (("POST",), shell.prefix),
        **parts.sign_in.routes,
    }
    if not settings.intake.form:
        del own["/-/session"]
    if secret := settings.revoke.secret.get_secret_value():
        revoke = RevokeHandler(
            secret,
            state.revocations,
            parts.answers,
            parts.readiness,
            settings.server.header_timeout,
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
    rooms = Watched(
        verifications=parts.verifications,
        breaker=parts.verifier.breaker,
        cache=parts.cache,
        shared=parts.shared,
        sign_ins=parts.sign_in.statistics,
        seal=parts.seal,
        revocations=state.revocations,
        record=parts.record,
        readiness=parts.readiness,
    )
    secret = state.keys.newest("log")
    return Watch(settings, rooms, output=output, secret=secret, spans=parts.spans, clocks=clocks)


def _spans(settings: Settings) -> "Spans | None":
    if not settings.tracing.enabled:
        return None
    from gate.observe.spans import Spans  # its library is an extra

    return Spans()


def _corridor(
    settings: Settings,
    state: State,
    parts: Parts,
    routes: dict[str, tuple[str, ...]],
) -> list[Middleware]:
    """The layers that every request walks, outermost first."""
    guard = Guard(
        routes=routes,
        current=parts.current,
        access=parts.access,
        admission=parts.admission,
        seal=parts.seal,
        reader=parts.reader,
        origins=parts.origins,
        answers=parts.answers,
        recent=parts.recent,
        paths=parts.paths,
        manner=parts.manner,
        sign_in=parts.sign_in,
    )
    keeps = None if parts.spans is None else parts.spans.keeps
    prefix = settings.server.prefix
    return [Entrance(parts.answers, parts.proxies, guard, keeps, prefix=prefix).walk]


def _has_fast_door(settings: Settings) -> bool:
    """Not where every request has a span of its own, nor where paths have a prefix."""
    server = settings.server
    return server.fast_door and not settings.tracing.enabled and not server.prefix


def _hot_reads(
    parts: Parts, log: AccessLog, wall: Callable[[], float], keepalive_timeout: float
) -> HotReads:
    """The fast door's share: the same rooms as the corridor's."""
    current = parts.current
    return HotReads(
        build=lambda: current.build,
        wall=wall,
        access=parts.access,
        seal=parts.seal,
        reader=parts.reader,
        proxies=parts.proxies,
        manner=parts.manner,
        recent=parts.recent,
        headers=parts.headers,
        log=log,
        keepalive_timeout=keepalive_timeout,
    )


def _cache(settings: Settings, clocks: Clocks) -> VerdictCache:
    return VerdictCache(
        ttl=settings.cache.ttl,
        negative_ttl=settings.cache.negative_ttl,
        max_entries=settings.cache.max_entries,
        refresh_ahead=settings.cache.refresh_ahead,
        stale_if_error=settings.cache.stale_if_error,
        clock=clocks.monotonic,
        wall=clocks.wall,
    )


def _shared(
    settings: Settings, state: State, cache: VerdictCache, readiness: Readiness, clocks: Clocks
) -> "SharedTier | None":
    if not settings.cache.shared_url:
        return None
    from gate.shared.tier import SharedTier  # its library is an extra

    tier = SharedTier(
        settings.cache.shared_url,
        keys=state.keys.derive("shared"),
        ttl=settings.cache.ttl,
        refresh_ahead=settings.cache.refresh_ahead,
        revocations=state.revocations,
        clear=cache.clear,
        readiness=readiness,
        wall=clocks.wall,
    )
    state.revocations.announcer = tier
    return tier


def _access(
    settings: Settings,
    state: State,
    seal: SessionSeal,
    cache: VerdictCache,
    verifier: Verifier,
    shared: Tier | None,
    clocks: Clocks,
) -> Access:
    return Access(
        seal=seal,
        cache=cache,
        verifier=verifier,
        revocations=state.revocations,
        secret=state.keys.newest("verdict"),
        fingerprint=fingerprint(settings.verify, settings.introspection, settings.jwt),
        recheck=settings.session.recheck,
        clocks=clocks,
        shared=shared,
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
    async with AsyncExitStack() as stack:
        stack.callback(revocations.close)
        stack.callback(watch.access_log.flush)
        if parts.spans is not None:
            await stack.enter_async_context(parts.spans)
        await stack.enter_async_context(watch.monitor)
        await stack.enter_async_context(parts.verifier)
        await stack.enter_async_context(parts.sign_in.running())
        if parts.shared is not None:
            await stack.enter_async_context(parts.shared)
        await stack.enter_async_context(parts.current)
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
