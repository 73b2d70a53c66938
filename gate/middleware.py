"""The corridor that every request walks: scope, error pages, guard.

Default deny: a path of the site is answered only after `Access.decide`, unless the index calls it
public; a route of the gate's own is answered by its handler, which is public by its place in
`app.py`'s list.
"""

import logging
import time
from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote

import aiohttp_session
from aiohttp import web
from aiohttp.typedefs import Handler

from gate import tokens
from gate.access import Access, Decision
from gate.admission import RecentIntakes, take_token
from gate.answers import Answers
from gate.intake import (
    AllowedOrigins,
    Reader,
    Target,
    differ,
    framed_by,
    is_navigation,
    may_take_query,
    origin_of,
    return_path,
    target_of,
)
from gate.outcome import Outcome
from gate.proxies import Proxies, is_host
from gate.scope import SCOPE, Scope, request_id
from gate.serving import Files
from gate.session import SessionSeal, SessionStorage
from gate.site.index import Entry, Redirect, Site

log = logging.getLogger(__name__)

OWN = "/-/"
"""Everything of the gate's own lives under this path."""

SITE_METHODS = ("GET", "HEAD")

_PARSER_STATUSES = {
    413: "the body is too large",
    417: "the Expect header asks for what is not done",
}


class Entrance:
    """The outermost layer: makes the scope, and an answer out of every exception."""

    def __init__(self, answers: Answers, proxies: Proxies, guard: "Guard") -> None:
        self._answers = answers
        self._proxies = proxies
        self._guard = guard

    @web.middleware
    async def walk(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        target = target_of(request.raw_path)
        scope = self._scope(request, target)
        request[SCOPE] = scope
        if target is None or not _is_unambiguous(request):
            response = self._answers.malformed(request, scope, 400, "the address cannot be read")
            response.force_close()  # where the next request begins may be in doubt
            return response
        try:
            # called from here: every layer that aiohttp knows costs each request a wrapper more
            return await self._guard.walk(request, scope, target, handler)
        except web.HTTPException as error:
            return self._of_http(request, scope, error)
        except Exception:
            log.exception("request %s failed", scope.request_id)
            return self._answers.failed(request, scope)

    def _scope(self, request: web.Request, target: Target | None) -> Scope:
        asker = self._proxies.asker(request.remote or "", request.headers, scheme=request.scheme)
        stated_ids = request.headers.getall("X-Request-Id", ()) if asker.trusted else ()
        return Scope(
            path=target.path if target else "",
            address=asker.address,
            scheme=asker.scheme,
            host=asker.host,
            begun=time.perf_counter(),
            request_id=request_id(stated_ids, trusted=asker.trusted),
        )

    def _of_http(
        self, request: web.Request, scope: Scope, error: web.HTTPException
    ) -> web.Response:
        """What aiohttp raises: a file that vanished, a body that is too large, no route."""
        if error.status in _PARSER_STATUSES:
            detail = _PARSER_STATUSES[error.status]
            return self._answers.malformed(request, scope, error.status, detail)
        if error.status in (403, 404, 405):
            return self._answers.not_found(request, scope)
        log.error("request %s: unexpected %s", scope.request_id, error.status)
        return self._answers.failed(request, scope)


def _is_unambiguous(request: web.Request) -> bool:
    """Whether everyone on the way reads the same host and the same body (RFC 9112, sections 3.2
    and 6.1): the parser lets pass a missing or odd Host, and an empty Transfer-Encoding."""
    hosts = request.headers.getall("Host", ())
    if not (is_host(hosts[0]) if len(hosts) == 1 else not hosts and request.version < (1, 1)):
        return False
    return request.headers.get("Transfer-Encoding", "chunked").lower() == "chunked"


def _is_own_in_disguise(path: str) -> bool:
    return "%" in path and unquote(path).startswith(OWN)


class Guard:
    """The innermost layer: gate routes to their handlers, everything else to the site, after the
    decision."""

    def __init__(
        self,
        *,
        routes: Mapping[str, tuple[str, ...]],
        site: Site,
        access: Access,
        seal: SessionSeal,
        reader: Reader,
        origins: AllowedOrigins,
        answers: Answers,
        recent: RecentIntakes,
    ) -> None:
        self._routes = routes
        # what only reads a session needs no more than the seal
        self._sessions = aiohttp_session.session_middleware(SessionStorage(seal))
        self._site = site
        self._files = Files(site)
        self._access = access
        self._seal = seal
        self._reader = reader
        self._origins = origins
        self._answers = answers
        self._recent = recent

    async def walk(
        self, request: web.Request, scope: Scope, target: Target, handler: Handler
    ) -> web.StreamResponse:
        """Lead the request where its path, its method and the decision say."""
        queried = self._reader.query_tokens(target.query)
        bearers = self._reader.bearer_tokens(request.headers)
        if (queried or bearers) and differ([*queried, *bearers]):
            return self._answers.malformed(request, scope, 400, "two different tokens came at once")
        resource = request.match_info.route.resource
        methods = self._routes.get(resource.canonical) if resource is not None else None
        if methods is not None:
            return await self._own(request, scope, methods, handler)
        if target.path.startswith(OWN) or _is_own_in_disguise(target.path):
            scope.outcome = Outcome.PUBLIC
            return self._answers.not_found(request, scope)
        if request.method not in SITE_METHODS:
            return self._answers.wrong_method(request, scope, SITE_METHODS)
        if queried and not bearers and may_take_query(request.method, request.headers):
            taking = partial(self._intake, scope=scope, target=target, text=queried[0])
            return await self._sessions(request, taking)
        return await self._read(request, scope, target, bearers, handler)

    async def _own(
        self, request: web.Request, scope: Scope, methods: tuple[str, ...], handler: Handler
    ) -> web.StreamResponse:
        if request.method not in methods:
            return self._answers.wrong_method(request, scope, methods)
        scope.outcome = Outcome.PUBLIC
        return await self._sessions(request, handler)

    async def _read(
        self,
        request: web.Request,
        scope: Scope,
        target: Target,
        bearers: list[str],
        handler: Handler,
    ) -> web.StreamResponse:
        found = self._site.lookup(target.path)
        public = found is not None and found.public
        session = None if bearers else self._seal.of(request.headers)
        bearer = tokens.parse(bearers[0]) if bearers else None
        if bearers and bearer is None and not public:
            decision = Decision(Outcome.REFUSED)
        else:
            decision = await self._access.decide(session, bearer=bearer, public=public)
        scope.outcome, scope.subject = decision.outcome, decision.subject
        scope.verify_ms = decision.verify_ms
        match decision.outcome:
            case Outcome.ALLOWED | Outcome.PUBLIC | Outcome.STALE:
                if session is not None:
                    self._recent.take(request)
                return await self._serve(request, scope, target, found, decision, handler)
            case Outcome.NO_TOKEN if self._lost_cookie(request):
                return self._answers.denied(request, scope, decision, page="no_cookie")
            case _:
                return self._answers.denied(request, scope, decision)

    async def _serve(
        self,
        request: web.Request,
        scope: Scope,
        target: Target,
        found: Entry | Redirect | None,
        decision: Decision,
        handler: Handler,
    ) -> web.StreamResponse:
        if isinstance(found, Redirect):
            return self._files.redirect(found, target.query)
        if found is not None:
            if found.page and decision.session is not None:
                scope.renewal = self._seal.set_cookie(decision.session)
            try:
                return await self._files.entry(request, found, handler)
            except web.HTTPNotFound:  # a streamed file that has gone
                pass
        if self._site.missing is None:
            return self._answers.not_found(request, scope)
        return await self._files.entry(request, self._site.missing, handler, status=404)

    async def _intake(
        self, request: web.Request, *, scope: Scope, target: Target, text: str
    ) -> web.StreamResponse:
        framer = framed_by(request.headers)
        if framer is not None and not self._origins.knows(origin_of(framer), scope):
            return self._answers.forbidden(request, scope, "forbidden_frame")
        rest = self._reader.without_token(target.query)
        location = return_path(target.path, rest, self._site)
        answer = await take_token(request, scope, text, self._access, self._seal, self._answers)
        if answer is not None:
            return answer
        self._recent.note(request, location)
        return self._answers.see_other(location)

    def _lost_cookie(self, request: web.Request) -> bool:
        """Whether this browser was given a cookie for this very page and did not bring it back."""
        if not is_navigation(request.headers):
            return False
        brought = self._seal.name in request.headers.get("Cookie", "")
        return self._recent.take(request) and not brought
