"""Puts the gate together: the only place that lists routes, order and lifetimes."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp_session
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gate.access import Access
from gate.admission import RecentIntakes
from gate.answers import Answers
from gate.cache import VerdictCache
from gate.handlers import MAX_FORM_BYTES, SessionHandlers, StatusHandlers
from gate.headers import ResponseHeaders
from gate.intake import AllowedOrigins, Reader
from gate.keys import Keys
from gate.middleware import Entrance, Guard
from gate.observe import AccessLog, Output
from gate.pages import Pages
from gate.proxies import Proxies
from gate.session import SessionSeal, SessionStorage
from gate.settings import Settings, VerifySettings
from gate.site import Site
from gate.verifier import ApiVerifier

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks, in seconds: limits inside the process go by the monotonic one, what leaves
    it by the wall clock."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


@dataclass(slots=True)
class Readiness:
    """Why the gate should not be sent requests; None while it should."""

    problem: str | None = None

    def __call__(self) -> str | None:
        return self.problem


READINESS = web.AppKey("readiness", Readiness)
ROUTES = web.AppKey("routes", dict[str, tuple[str, ...]])
"""The gate's own routes with their methods: all of them public, each closed by its own rule."""


def make_app(
    settings: Settings,
    *,
    site: Site,
    keys: Keys,
    output: Output,
    clocks: Clocks = Clocks(),
) -> web.Application:
    """The application of `gate serve`, of the demo and of the tests.

    `output` gets the access log. Starting the application opens the connections to the verify API,
    ending it closes them.
    """
    pages = Pages()
    answers = Answers(pages)
    seal = SessionSeal(settings.session, keys.derive("cookie"), clocks.wall)
    origins = AllowedOrigins(settings.frame.allowed_origins, settings.server.public_url)
    reader = Reader(settings.intake)
    verifier = ApiVerifier(settings.verify, session_expires=settings.session.expires)
    access = _access(settings, seal, keys, verifier, clocks)
    readiness = Readiness()
    recent = RecentIntakes(clocks.monotonic)

    handle = SessionHandlers(
        site=site,
        access=access,
        seal=seal,
        reader=reader,
        origins=origins,
        answers=answers,
        recent=recent,
        patience=settings.server.header_timeout,
    )
    status = StatusHandlers(pages, readiness)
    own = {
        "/-/session": (("POST",), handle.intake),
        "/-/sign-out": (("POST",), handle.sign_out),
        "/-/signed-out": (("GET", "HEAD"), handle.signed_out),
        "/-/healthz": (("GET", "HEAD"), status.healthz),
        "/-/readyz": (("GET", "HEAD"), status.readyz),
        "/-/gate.css": (("GET", "HEAD"), status.stylesheet),
    }
    if not settings.intake.form:
        del own["/-/session"]
    routes = {path: methods for path, (methods, _) in own.items()}

    entrance = Entrance(answers, Proxies(settings.server.trusted_proxies), origins)
    guard = Guard(
        routes=routes,
        site=site,
        access=access,
        seal=seal,
        reader=reader,
        origins=origins,
        answers=answers,
        recent=recent,
    )
    log = AccessLog(settings.log, output, secret=keys.newest("log"), clock=clocks.wall)
    app = web.Application(
        middlewares=[
            entrance.walk,
            aiohttp_session.session_middleware(SessionStorage(seal)),
            guard.walk,
        ],
        client_max_size=MAX_FORM_BYTES,
        handler_args=_server_arguments(settings, log.logger_class()),
    )
    app[READINESS] = readiness
    app[ROUTES] = routes
    for path, (_, handler) in own.items():
        app.router.add_route("*", path, handler)
    app.router.add_static("/", site.root)
    app.on_response_prepare.append(ResponseHeaders(settings.server, settings.frame).on_prepare)
    app.cleanup_ctx.append(partial(_lifetime, verifier, log))
    return app


def _access(
    settings: Settings, seal: SessionSeal, keys: Keys, verifier: ApiVerifier, clocks: Clocks
) -> Access:
    cache = VerdictCache(
        ttl=settings.cache.ttl,
        negative_ttl=settings.cache.negative_ttl,
        max_entries=settings.cache.max_entries,
        clock=clocks.monotonic,
        wall=clocks.wall,
    )
    return Access(
        seal=seal,
        cache=cache,
        verifier=verifier,
        secret=keys.newest("verdict"),
        fingerprint=_fingerprint(settings.verify),
        recheck=settings.session.recheck,
        clock=clocks.monotonic,
    )


def _fingerprint(verify: VerifySettings) -> bytes:
    """All of `[verify]`, secrets too: a verdict of one API, or of one way to ask it, is none of
    another. It goes into a keyed hash and nowhere else."""
    headers = {name: value.get_secret_value() for name, value in verify.headers.items()}
    return repr(sorted({**verify.model_dump(), "headers": headers}.items())).encode("utf-8")


def _server_arguments(settings: Settings, logger: type[AbstractAccessLogger]) -> dict[str, Any]:
    """How aiohttp's server treats connections; test servers get the same."""
    return {
        "access_log_class": logger,
        "keepalive_timeout": settings.server.keepalive_timeout,
        "auto_decompress": False,  # a compressed form is none that we read
        "lingering_time": 2.0,
        "handler_cancellation": False,  # aiohttp's test server would have it otherwise
    }


async def _lifetime(
    verifier: ApiVerifier, log: AccessLog, app: web.Application
) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        stack.callback(log.flush)
        await stack.enter_async_context(verifier)
        yield
