"""What portals embed the site with: the script of the element, the shell page that it loads, and
the two questions that the shell asks."""

from pathlib import Path
from typing import Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

from gate.access import Access
from gate.admission import Admission
from gate.answers import Answers
from gate.clocks import Clocks
from gate.cookieless import PathSessions, is_inside
from gate.forms import JSON, UnreadableForm, read_fields
from gate.intake import AllowedOrigins, comes_from
from gate.outcome import Outcome
from gate.pages import Pages
from gate.scope import SCOPE, Scope
from gate.seal import Session
from gate.session import SessionSeal
from gate.site.encodings import Encoded, encode
from gate.site.negotiation import acceptable, none_match

_STATIC: Final = Path(__file__).parent / "static"
_JAVASCRIPT = "text/javascript; charset=utf-8"
_EMBED_SECONDS = 600
"""How long a portal's browser may use the script without asking for a newer one."""


class Script:
    """One script of ours, in every content coding."""

    def __init__(self, name: str, **headers: str) -> None:
        self._encoded: Encoded = encode(name, (_STATIC / name).read_bytes(), {})
        self._headers = {"Content-Type": _JAVASCRIPT, "Vary": "Accept-Encoding", **headers}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The script, or 304."""
        bodies = self._encoded.bodies
        accepted = acceptable(request.headers.get("Accept-Encoding"))
        coding = next((each for each in accepted if each in bodies), "identity")
        headers = CIMultiDict({**self._headers, "ETag": self._encoded.etag(coding)})
        condition = request.headers.get(hdrs.IF_NONE_MATCH)
        if condition is not None and none_match(condition, headers["ETag"]):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        if coding != "identity":
            headers["Content-Encoding"] = coding
        return web.Response(body=bodies[coding], headers=headers)


def embed_script() -> Script:
    """`/-/embed.js`: the one address that other sites may load."""
    return Script(
        "embed.js",
        **{
            "Cache-Control": f"public, max-age={_EMBED_SECONDS}",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )


def shell_script() -> Script:
    """`/-/frame.js`: no secret either, and loaded by a frame that a sandbox takes its origin from,
    so that it can say so."""
    return Script("frame.js", **{"Cross-Origin-Resource-Policy": "cross-origin"})


class ShellHandlers:
    """`/-/frame`, `/-/frame/session` and `/-/frame/prefix`. `patience` is the time for a body
    to arrive, in seconds."""

    def __init__(
        self,
        *,
        pages: Pages,
        access: Access,
        admission: Admission,
        seal: SessionSeal,
        paths: PathSessions,
        origins: AllowedOrigins,
        answers: Answers,
        clocks: Clocks,
        patience: float,
    ) -> None:
        self._pages = pages
        self._access = access
        self._admission = admission
        self._seal = seal
        self._paths = paths
        self._origins = origins
        self._answers = answers
        self._clocks = clocks
        self._patience = patience

    async def shell(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/frame`: the page around the site's own. It holds no secret and opens nothing."""
        if request.headers.get("Sec-Fetch-Dest") == "document":
            return self._answers.forbidden(request, request[SCOPE], "framed_only")
        language = self._pages.language(request.headers.get("Accept-Language"))
        return web.Response(
            body=self._pages.shell(language),
            headers={"Content-Type": "text/html; charset=utf-8", "Content-Language": language},
        )

    async def session(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/frame/session`: whether the cookie came back, and how long it will do."""
        scope, session = request[SCOPE], self._seal.of(request.headers)
        decision = await self._access.decide(session)
        scope.outcome, scope.subject = decision.outcome, decision.subject
        scope.verify_ms = decision.verify_ms
        if session is None or decision.outcome not in (Outcome.ALLOWED, Outcome.STALE):
            return self._answers.denied(request, scope, decision)
        return web.json_response({"expires_in": self._seconds_left(session)})

    async def prefix(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/frame/prefix`: a token, for a session in the path."""
        scope = request[SCOPE]
        if not self._paths.enabled:
            return self._answers.not_found(request, scope)
        if not self._is_ours(request, scope):
            return self._answers.forbidden(request, scope, "forbidden_origin", origin="")
        try:
            fields = await read_fields(request, patience=self._patience, kinds=(JSON,))
        except UnreadableForm as problem:
            response = self._answers.malformed(request, scope, problem.status, str(problem))
            response.force_close()
            return response
        texts = [value for name, value in fields if name == "token"]
        if len(texts) != 1 or not isinstance(texts[0], str):
            return self._answers.malformed(request, scope, 400, "the body has no one text `token`")
        return await self._take(request, scope, texts[0])

    async def _take(self, request: web.Request, scope: Scope, text: str) -> web.StreamResponse:
        decision = await self._admission.judge(request, scope, text, None)
        if isinstance(decision, web.StreamResponse):
            return decision
        if decision.session is None:
            return self._answers.denied(request, scope, decision)
        until = self._access.until(decision.session)
        folder, seconds = self._paths.begin(decision.session, until)
        return web.json_response({"prefix": folder, "expires_in": seconds})

    def _is_ours(self, request: web.Request, scope: Scope) -> bool:
        """Whether the shell asks: nobody else is given a credential to read."""
        origin = comes_from(request.headers)
        return (
            is_inside(request.headers) and origin is not None and origin == self._origins.own(scope)
        )

    def _seconds_left(self, session: Session) -> int:
        return max(0, int(self._access.until(session) - self._clocks.wall()))
