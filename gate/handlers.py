"""The gate's own routes: intake by POST, sign-out, health, and the stylesheet of its pages."""

from aiohttp import web

from gate import session as sessions
from gate.admission import Admission, RecentIntakes
from gate.answers import Answers
from gate.cookieless import PathSessions
from gate.forms import JSON, Fields, UnreadableForm, read_fields
from gate.intake import (
    AllowedOrigins,
    Reader,
    comes_from,
    differ,
    known_target,
    next_path,
    without_prefix,
)
from gate.outcome import Outcome
from gate.pages import Pages
from gate.readiness import Readiness
from gate.scope import SCOPE, Scope
from gate.seal import Session
from gate.site.current import CurrentSite
from gate.state.revocations import UNWRITTEN, NotAnnounced, RevocationProblem, Revocations

SIGNED_OUT = "/-/signed-out"


class SessionHandlers:
    """`/-/session`, `/-/sign-out` and `/-/signed-out`. `patience` is the time for a body to
    arrive, in seconds."""

    def __init__(
        self,
        *,
        current: CurrentSite,
        admission: Admission,
        revocations: Revocations,
        reader: Reader,
        origins: AllowedOrigins,
        answers: Answers,
        recent: RecentIntakes,
        readiness: Readiness,
        paths: PathSessions,
        patience: float,
        prefix: str = "",
    ) -> None:
        self._current = current
        self._admission = admission
        self._revocations = revocations
        self._reader = reader
        self._origins = origins
        self._answers = answers
        self._recent = recent
        self._readiness = readiness
        self._paths = paths
        self._patience = patience
        self._prefix = prefix

    async def intake(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/session`: a token by form or JSON."""
        scope = request[SCOPE]
        refusal = self._of_stranger(request, scope)
        if refusal is not None:
            return refusal
        try:
            fields = await read_fields(request, patience=self._patience)
            text, wanted = _token_and_next(fields)
        except UnreadableForm as problem:
            response = self._answers.malformed(request, scope, problem.status, str(problem))
            response.force_close()  # where its body ends may be in doubt
            return response
        bearers = self._reader.bearer_tokens(request.headers)
        if differ([text, *bearers, *self._reader.query_tokens(known_target(request).query)]):
            return self._answers.malformed(request, scope, 400, "two different tokens came at once")
        answer = await self._admission.take(request, scope, text)
        if answer is not None:
            return answer
        if request.content_type == JSON:
            return web.Response(status=204)
        wanted = without_prefix(wanted, self._prefix)
        location = next_path(wanted, self._current.site, self._reader)
        self._recent.note(request, location)
        return self._answers.see_other(location)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/sign-out`: ends this browser's session, every copy of its cookie included."""
        scope = request[SCOPE]
        refusal = self._of_stranger(request, scope)
        if refusal is not None:
            return refusal
        session = await sessions.current(request)
        if session is None and request.content_type == JSON and request.can_read_body:
            try:
                session = await self._path_session(request)
            except UnreadableForm as problem:
                return self._answers.malformed(request, scope, problem.status, str(problem))
        if session is not None:
            try:
                await self._revocations.end("session", session.id)
            except RevocationProblem as problem:
                if not isinstance(problem, NotAnnounced):
                    self._readiness.fail(UNWRITTEN, str(problem))
                return self._answers.unwritten(request, scope)
            self._readiness.clear(UNWRITTEN)
        await sessions.end(request)
        scope.outcome = Outcome.ALLOWED
        if request.content_type == JSON:
            return web.Response(status=204)
        return self._answers.see_other(SIGNED_OUT)

    async def _path_session(self, request: web.Request) -> Session | None:
        """The session in the path that the shell of a frame without cookies ends."""
        fields = await read_fields(request, patience=self._patience, kinds=(JSON,))
        folders = [value for name, value in fields if name == "prefix"]
        folder = folders[0] if len(folders) == 1 else None
        return self._paths.opened(folder) if isinstance(folder, str) else None

    async def signed_out(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/signed-out`."""
        return self._answers.signed_out(request, request[SCOPE])

    def _of_stranger(self, request: web.Request, scope: Scope) -> web.Response | None:
        """403 for a POST that neither our own nor an allowed page sent: the defence against a
        page that signs its visitor in or out."""
        origin = comes_from(request.headers)
        if self._origins.knows(origin, scope):
            return None
        shown = origin if origin is not None and origin.isascii() else ""
        return self._answers.forbidden(request, scope, "forbidden_origin", origin=shown)


def _token_and_next(fields: Fields) -> tuple[str, str]:
    """Raises `UnreadableForm` unless there is exactly one token."""
    found = [value for name, value in fields if name == "token"]
    wanted = [value for name, value in fields if name == "next"]
    if not found or not all(isinstance(value, str) for value in found):
        raise UnreadableForm(400, "the body has no text named token")
    texts = [str(value) for value in found]
    if differ(texts):
        raise UnreadableForm(400, "two different tokens came at once")
    return texts[0], wanted[0] if len(wanted) == 1 and isinstance(wanted[0], str) else "/"


class StatusHandlers:
    """`/-/healthz`, `/-/readyz`, and what the gate's own pages load."""

    def __init__(self, pages: Pages, readiness: Readiness) -> None:
        self._pages = pages
        self._readiness = readiness

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        """The loop answers."""
        return web.json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        """Whether requests should be sent here. Never depends on the verify API."""
        problem = self._readiness.problem
        if problem is None:
            notes = self._readiness.notes
            return web.json_response({"status": "ready", **({"detail": notes} if notes else {})})
        return web.json_response(
            {"status": "not ready", "detail": problem}, status=503, headers={"Retry-After": "5"}
        )

    async def stylesheet(self, request: web.Request) -> web.StreamResponse:
        """What the gate's own pages look like."""
        return web.Response(
            body=self._pages.stylesheet,
            headers={
                "Content-Type": "text/css; charset=utf-8",
                # for pages that a sandbox takes their origin from
                "Cross-Origin-Resource-Policy": "cross-origin",
            },
        )

    async def script(self, request: web.Request) -> web.StreamResponse:
        """What the gate's own pages do."""
        return web.Response(
            body=self._pages.script, headers={"Content-Type": "text/javascript; charset=utf-8"}
        )

    async def logo(self, request: web.Request) -> web.StreamResponse:
        """The company's mark."""
        brand = self._pages.brand
        return web.Response(body=brand.logo, headers={"Content-Type": brand.logo_type})
