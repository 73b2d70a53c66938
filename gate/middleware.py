"""The guard in the corridor that every request walks.

Default deny: a path of the site is answered only after `Access.decide`, unless the index calls it
public; a route of the gate's own is answered by its handler, which is public by its place in
`app.py`'s list.
"""

from collections.abc import Mapping
from functools import partial
from typing import Protocol
from urllib.parse import unquote

import aiohttp_session
from aiohttp import web
from aiohttp.typedefs import Handler

from gate import tokens
from gate.access import Access, Decision
from gate.admission import Admission, RecentIntakes
from gate.answers import Answers
from gate.cookieless import PathSessions
from gate.intake import (
    OWN,
    AllowedOrigins,
    Headers,
    Reader,
    Target,
    differ,
    framed_by,
    here,
    is_navigation,
    is_top_level,
    known_target,
    may_take_query,
    origin_of,
    return_path,
    with_query,
)
from gate.manner import Manner
from gate.outcome import Outcome
from gate.scope import Scope
from gate.seal import Session
from gate.serving import Files
from gate.session import SessionSeal, SessionStorage
from gate.site.current import CurrentSite
from gate.site.index import Entry, Redirect
from gate.tokens import Token

SITE_METHODS = ("GET", "HEAD")


def _is_own_in_disguise(path: str) -> bool:
    return "%" in path and unquote(path).startswith(OWN)


class SignIn(Protocol):
    """The ways in without a portal."""

    def instead_of(
        self, request: web.Request, scope: Scope, outcome: Outcome
    ) -> web.StreamResponse | None:
        """The page that offers them in place of a 401, to whom it is of use; else None."""


class Guard:
    """Leads gate routes to their handlers, everything else to the site, after the
    decision."""

    def __init__(
        self,
        *,
        routes: Mapping[str, tuple[str, ...]],
        current: CurrentSite,
        access: Access,
        admission: Admission,
        seal: SessionSeal,
        reader: Reader,
        origins: AllowedOrigins,
        answers: Answers,
        recent: RecentIntakes,
        paths: PathSessions,
        manner: Manner,
        sign_in: SignIn,
    ) -> None:
        self._routes = routes
        # what only reads a session needs no more than the seal
        self._sessions = aiohttp_session.session_middleware(SessionStorage(seal))
        self._current = current
        self._access = access
        self._admission = admission
        self._seal = seal
        self._reader = reader
        self._origins = origins
        self._answers = answers
        self._recent = recent
        self._paths = paths
        self._manner = manner
        self._sign_in = sign_in

    async def walk(
        self,
        request: web.Request,
        scope: Scope,
        target: Target,
        handler: Handler,
        sealed: str | None,
    ) -> web.StreamResponse:
        """Lead the request where its path, its method and the decision say. `sealed` is what
        stood before the target in the path."""
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
        if sealed is not None and is_top_level(request.headers):
            return self._out_of_the_folder(scope, target)
        files = Files(self._current.build)
        found = files.lookup(target.path)
        public = found is not None and found.public
        if not public and (why := self._manner.unwelcome(request.headers)):
            return self._answers.forbidden(request, scope, why)
        takes = sealed is None and may_take_query(request.method, request.headers)
        if queried and not bearers and takes:
            taking = partial(self._intake, scope=scope, target=target, text=queried[0])
            return await self._sessions(request, taking)
        session = None if bearers else self._session(request.headers, sealed)
        return await self._read(request, scope, files, found, session, bearers)

    def _out_of_the_folder(self, scope: Scope, target: Target) -> web.Response:
        """To the same page without the credential, which a tab would show, copy and remember. It
        was not looked at, and neither was the index: strangers learn of no page here."""
        scope.outcome = Outcome.PUBLIC
        rest = self._reader.without_token(target.query)
        return self._answers.see_other(with_query(here(target.path), rest))

    def _session(self, headers: Headers, sealed: str | None) -> Session | None:
        return self._seal.of(headers) if sealed is None else self._paths.of(sealed, headers)

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
        files: Files,
        found: Entry | Redirect | None,
        session: Session | None,
        bearers: list[str],
    ) -> web.StreamResponse:
        public = found is not None and found.public
        bearer = tokens.parse(bearers[0]) if bearers else None
        if bearers and not public and (seconds := self._wait(request, scope, bearer)):
            return self._answers.limited(request, scope, seconds)
        if bearers and bearer is None and not public:
            decision = Decision(Outcome.REFUSED)
        else:
            decision = await self._access.decide(session, bearer=bearer, public=public)
        if bearers and decision.outcome is Outcome.REFUSED:
            self._admission.refused(request, scope)
        scope.outcome, scope.subject = decision.outcome, decision.subject
        scope.verify_ms = decision.verify_ms
        match decision.outcome:
            case Outcome.ALLOWED | Outcome.PUBLIC | Outcome.STALE:
                if session is not None:
                    self._recent.take_at(request)
                return await self._serve(request, scope, files, found, decision)
            case Outcome.NO_TOKEN if not scope.cookieless and self._lost_cookie(request):
                return self._answers.denied(request, scope, decision, page="no_cookie")
            case _:
                offered = self._sign_in.instead_of(request, scope, decision.outcome)
                if offered is not None:
                    return offered
                return self._answers.denied(request, scope, decision)

    def _wait(self, request: web.Request, scope: Scope, bearer: Token | None) -> int:
        """Seconds that a Bearer token has to wait, because too many were refused."""
        if bearer is not None and self._access.knows(bearer, None):
            return 0
        return self._admission.wait(request, scope)

    async def _serve(
        self,
        request: web.Request,
        scope: Scope,
        files: Files,
        found: Entry | Redirect | None,
        decision: Decision,
    ) -> web.StreamResponse:
        if isinstance(found, Redirect):
            return files.redirect(found, known_target(request).query)
        if found is not None:
            if found.page and decision.session is not None and not scope.cookieless:
                scope.renewal = self._seal.set_cookie(decision.session)
            try:
                return await files.entry(request, found)
            except web.HTTPNotFound:  # a streamed file that has gone
                pass
        # the links of the site's own page lead out of a session in the path
        missing = files.site.missing
        if missing is None or scope.cookieless:
            return self._answers.not_found(request, scope)
        return await files.entry(request, missing, status=404)

    async def _intake(
        self, request: web.Request, *, scope: Scope, target: Target, text: str
    ) -> web.StreamResponse:
        framer = framed_by(request.headers)
        if framer is not None and not self._origins.knows(origin_of(framer), scope):
            return self._answers.forbidden(request, scope, "forbidden_frame")
        rest = self._reader.without_token(target.query)
        location = return_path(target.path, rest, self._current.site)
        answer = await self._admission.take(request, scope, text)
        if answer is not None:
            return answer
        self._recent.note(request, location)
        return self._answers.see_other(location)

    def _lost_cookie(self, request: web.Request) -> bool:
        """Whether this browser was given a cookie for this very page and did not bring it back."""
        if not is_navigation(request.headers):
            return False
        brought = self._seal.name in request.headers.get("Cookie", "")
        return self._recent.take_at(request) and not brought
