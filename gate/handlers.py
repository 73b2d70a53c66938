"""The gate's own routes: intake by POST, sign-out, health, and the stylesheet of its pages."""

import asyncio
import json
from collections.abc import Callable
from urllib.parse import parse_qsl

from aiohttp import web

from gate import session as sessions
from gate.access import Access
from gate.admission import RecentIntakes, take_token
from gate.answers import Answers
from gate.intake import TARGET, AllowedOrigins, Reader, comes_from, differ, next_path
from gate.outcome import Outcome
from gate.pages import Pages
from gate.scope import SCOPE, Scope
from gate.session import SessionSeal
from gate.site import Site

MAX_FORM_BYTES = 32 * 1024
"""Room for a token and a `next`, each percent-encoded."""

SIGNED_OUT = "/-/signed-out"

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


class UnreadableForm(Exception):
    """A body that brings no token we can read. The message is for the portal developer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class SessionHandlers:
    """`/-/session`, `/-/sign-out` and `/-/signed-out`. `patience` is the time for a body to
    arrive, in seconds."""

    def __init__(
        self,
        *,
        site: Site,
        access: Access,
        seal: SessionSeal,
        reader: Reader,
        origins: AllowedOrigins,
        answers: Answers,
        recent: RecentIntakes,
        patience: float,
    ) -> None:
        self._site = site
        self._access = access
        self._seal = seal
        self._reader = reader
        self._origins = origins
        self._answers = answers
        self._recent = recent
        self._patience = patience

    async def intake(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/session`: a token by form or JSON."""
        scope = request[SCOPE]
        refusal = self._of_stranger(request, scope)
        if refusal is not None:
            return refusal
        try:
            fields = await self._fields(request)
            text, wanted = _token_and_next(fields)
        except UnreadableForm as problem:
            response = self._answers.malformed(request, scope, problem.status, str(problem))
            response.force_close()  # where its body ends may be in doubt
            return response
        bearers = self._reader.bearer_tokens(request.headers)
        if differ([text, *bearers, *self._reader.query_tokens(request[TARGET].query)]):
            return self._answers.malformed(request, scope, 400, "two different tokens came at once")
        answer = await take_token(request, scope, text, self._access, self._seal, self._answers)
        if answer is not None:
            return answer
        if request.content_type == _JSON:
            return web.Response(status=204)
        location = next_path(wanted, self._site, self._reader)
        self._recent.note(request, location)
        return self._answers.see_other(location)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/sign-out`: ends this browser's session."""
        scope = request[SCOPE]
        refusal = self._of_stranger(request, scope)
        if refusal is not None:
            return refusal
        await sessions.end(request)
        scope.outcome = Outcome.ALLOWED
        if request.content_type == _JSON:
            return web.Response(status=204)
        return self._answers.see_other(SIGNED_OUT)

    async def signed_out(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/signed-out`."""
        return self._answers.signed_out(request[SCOPE])

    def _of_stranger(self, request: web.Request, scope: Scope) -> web.Response | None:
        """403 for a POST that neither our own nor an allowed page sent: the defence against a
        page that signs its visitor in or out."""
        origin = comes_from(request.headers)
        if self._origins.knows(origin, own=scope.origin):
            return None
        shown = origin if origin is not None and origin.isascii() else ""
        return self._answers.forbidden(request, scope, "forbidden_origin", origin=shown)

    async def _fields(self, request: web.Request) -> list[tuple[str, object]]:
        if request.content_type not in (_FORM, _JSON):
            raise UnreadableForm(415, f"send the token as {_FORM} or {_JSON}")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnreadableForm(415, "send the body without a content coding")
        try:
            async with asyncio.timeout(self._patience):
                body = await request.read()
        except TimeoutError:
            raise UnreadableForm(400, "the body did not arrive in time") from None
        except (ConnectionError, web.RequestPayloadError):
            # gone, or not HTTP: perhaps nobody reads the answer, but the log tells of it
            raise UnreadableForm(400, "the body did not arrive whole") from None
        try:
            text = body.decode("utf-8")
            return _json_fields(text) if request.content_type == _JSON else _form_fields(text)
        except (ValueError, RecursionError):
            raise UnreadableForm(400, "the body cannot be read") from None


def _form_fields(text: str) -> list[tuple[str, object]]:
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    return [(name, value) for name, value in pairs]


def _json_fields(text: str) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []

    def note(found: list[tuple[str, object]]) -> dict[str, object]:
        pairs[:] = found  # the outermost object is finished last
        return dict(found)

    if not isinstance(json.loads(text, object_pairs_hook=note), dict):
        raise ValueError("not an object")
    return pairs


def _token_and_next(fields: list[tuple[str, object]]) -> tuple[str, str]:
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
    """`/-/healthz`, `/-/readyz` and the stylesheet. `ready` says why not, or None."""

    def __init__(self, pages: Pages, ready: Callable[[], str | None]) -> None:
        self._stylesheet = pages.stylesheet
        self._ready = ready

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        """The loop answers."""
        return web.json_response({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        """Whether requests should be sent here. Never depends on the verify API."""
        problem = self._ready()
        if problem is None:
            return web.json_response({"status": "ready"})
        return web.json_response(
            {"status": "not ready", "detail": problem}, status=503, headers={"Retry-After": "5"}
        )

    async def stylesheet(self, request: web.Request) -> web.StreamResponse:
        """What the gate's own pages look like."""
        return web.Response(
            body=self._stylesheet, headers={"Content-Type": "text/css; charset=utf-8"}
        )
