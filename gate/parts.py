"""The parts of a gate, made from its settings: each gets its own section and its collaborators."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gate.access import Access
from gate.admission import Admission, RecentIntakes
from gate.answers import Answers
from gate.brand import open_brand
from gate.cache import VerdictCache
from gate.clocks import Clocks
from gate.config.settings import Settings, SiteSettings
from gate.cookieless import PathSessions
from gate.headers import ResponseHeaders, frame_ancestors
from gate.intake import AllowedOrigins, Reader, origin_of
from gate.limits import FailureLimits
from gate.manner import Manner
from gate.observe.verifications import Verifications
from gate.pages import Pages
from gate.proxies import Proxies
from gate.readiness import Readiness
from gate.session import SessionSeal
from gate.sign_in.neighbours import Neighbours
from gate.sign_in.surroundings import Surroundings
from gate.sign_in.wiring import SignIn
from gate.site.current import CurrentSite
from gate.site.index import Site, always, read_site
from gate.site.policy import SitePolicy
from gate.site.record import SiteRecord
from gate.state.keys import Keys
from gate.state.revocations import Revocations
from gate.verify.api import ApiVerifier
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.presets import fingerprint, make_verifier

if TYPE_CHECKING:
    from gate.observe.spans import Spans
    from gate.shared.tier import SharedTier

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class State:
    """What a start opened: it outlives requests, and some of it the process."""

    site: Site
    keys: Keys
    revocations: Revocations


@dataclass(frozen=True, slots=True)
class Deciding:
    """The decision, whom it asks, and what is remembered of the answers."""

    access: Access
    cache: VerdictCache
    shared: "SharedTier | None"
    verifier: ApiVerifier | JwtVerifier
    verifications: Verifications
    spans: "Spans | None"


@dataclass(frozen=True, slots=True)
class Parts:
    """The collaborators that routes and corridor share."""

    around: Surroundings
    deciding: Deciding
    sign_in: SignIn
    record: SiteRecord
    pages: Pages
    paths: PathSessions
    proxies: Proxies
    manner: Manner
    headers: ResponseHeaders
    readiness: Readiness
    limits: FailureLimits


def make_parts(settings: Settings, state: State, clocks: Clocks, neighbours: Neighbours) -> Parts:
    """All of them, with nothing begun yet."""
    readiness = Readiness()
    limits = FailureLimits(settings.limits, clocks.monotonic)
    seal = SessionSeal(settings.session, state.keys.derive("cookie"), clocks.wall)
    pages = Pages(open_brand(settings.brand), settings.frame, settings.server.prefix)
    deciding = _deciding(settings, state, seal, readiness, clocks)
    around = _around(settings, state, deciding.access, seal, pages, limits, clocks)
    sign_in = SignIn(
        settings.sign_in,
        keys=state.keys.derive("flow"),
        brand=pages.brand,
        around=around,
        limits=limits,
        clocks=clocks,
        neighbours=neighbours,
    )
    on_socket = settings.server.socket is not None or bool(neighbours.places)
    prefix_keys = state.keys.derive("prefix")
    return Parts(
        around=around,
        deciding=deciding,
        sign_in=sign_in,
        record=SiteRecord(state.site, clocks.wall),
        pages=pages,
        paths=PathSessions(prefix_keys, clocks.wall, enabled=settings.frame.cookieless),
        proxies=Proxies(settings.server.trusted_proxies, on_socket=on_socket),
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


def site_policy(settings: Settings) -> SitePolicy:
    """What the settings say about the content security policies of the site."""
    ancestors = frame_ancestors(settings.frame)
    return SitePolicy(settings.site, ancestors, origin_of(settings.server.public_url) or "")


def _around(
    settings: Settings,
    state: State,
    access: Access,
    seal: SessionSeal,
    pages: Pages,
    limits: FailureLimits,
    clocks: Clocks,
) -> Surroundings:
    prefix = settings.server.prefix
    answers = Answers(pages, prefix=prefix)
    return Surroundings(
        current=CurrentSite(state.site, site_policy(settings)),
        access=access,
        admission=Admission(access, seal, answers, limits),
        seal=seal,
        reader=Reader(settings.intake),
        origins=AllowedOrigins(settings.frame.allowed_origins, settings.server.public_url),
        answers=answers,
        recent=RecentIntakes(clocks.monotonic, prefix=prefix),
        patience=settings.server.header_timeout,
    )


def _deciding(
    settings: Settings, state: State, seal: SessionSeal, readiness: Readiness, clocks: Clocks
) -> Deciding:
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
    access = Access(
        seal=seal,
        cache=cache,
        verifier=verifications,
        revocations=state.revocations,
        secret=state.keys.newest("verdict"),
        fingerprint=fingerprint(settings.verify, settings.introspection, settings.jwt),
        recheck=settings.session.recheck,
        clocks=clocks,
        shared=shared,
    )
    return Deciding(access, cache, shared, verifier, verifications, spans)


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


def _spans(settings: Settings) -> "Spans | None":
    if not settings.tracing.enabled:
        return None
    from gate.observe.spans import Spans  # its library is an extra

    return Spans()
