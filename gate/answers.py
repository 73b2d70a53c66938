"""The answers that are not files: how a refusal, an error or a redirect looks on the wire.

A person who opens a page gets a page; a script or an asset gets a short problem document
(RFC 9457). Neither ever holds the path, so that known and unknown paths look alike.
"""

import json
from collections.abc import Collection
from http import HTTPStatus

from aiohttp import web

from gate.access import Decision
from gate.intake import is_navigation
from gate.outcome import Outcome
from gate.pages import Pages
from gate.scope import Scope
from gate.verify.judge import RETRY_AFTER

_HTML = "text/html; charset=utf-8"
_PROBLEM = "application/problem+json"

_DETAILS = {
    "no_token": "open this documentation through the portal: no token came with the request",
    "refused": "the token is not good: sign in to the portal again",
    "expired": "the session has run out: reload the portal page",
    "no_cookie": "the browser kept no cookie after the token was accepted",
    "forbidden_origin": "the Origin header names no allowed origin; the portal page needs "
    "`Referrer-Policy: strict-origin-when-cross-origin` and a place in [frame] allowed_origins",
    "forbidden_frame": "the page that frames this documentation is not in [frame] allowed_origins",
    "forbidden_load": "pages of other origins may frame this documentation, not load parts of it",
    "framed_only": "this documentation is shown inside the portal, not in a window of its own",
    "limited": "too many tokens were refused: wait, and look at what sends them",
    "unavailable": "the verify API cannot be asked now: try again later",
    "unavailable_form": "the verify API cannot be asked now: try again later",
    "unwritten": "that could not be recorded, so it may not hold: try again",
    "token_too_long": "the token does not fit into a cookie; set [session] recheck = false",
    "not_found": "there is nothing here",
    "failed": "the gate failed: the operator finds the request id in the log",
}


class Answers:
    """Makes the answers. Every one notes its outcome in the scope."""

    def __init__(self, pages: Pages, *, prefix: str = "") -> None:
        self._pages = pages
        self._prefix = prefix

    def page(
        self, request: web.Request, scope: Scope, code: int, name: str, **facts: str
    ) -> web.Response:
        """The page `name` for a person, or the same as a problem document."""
        if is_navigation(request.headers):
            return self._html(request, scope, code, name, **facts)
        problem = {
            "title": HTTPStatus(code).phrase,
            "status": code,
            "detail": facts.get("detail") or _DETAILS[name],
            "outcome": scope.outcome.value if scope.outcome else None,
            "request_id": scope.request_id,
        }
        return web.Response(
            status=code,
            body=json.dumps(problem).encode("ascii"),
            headers={"Content-Type": _PROBLEM},
        )

    def _html(
        self, request: web.Request, scope: Scope, code: int, name: str, **facts: str
    ) -> web.Response:
        language = self._pages.language(request.headers.get("Accept-Language"))
        body = self._pages.html(name, request_id=scope.request_id, language=language, **facts)
        return web.Response(
            status=code, body=body, headers={"Content-Type": _HTML, "Content-Language": language}
        )

    def signed_out(self, request: web.Request, scope: Scope) -> web.Response:
        """200: where sign-out leads. No problem, so a page for scripts too."""
        return self._html(request, scope, 200, "signed_out")

    def limited(self, request: web.Request, scope: Scope, seconds: int) -> web.Response:
        """429: too many attempts failed."""
        scope.outcome = Outcome.LIMITED
        response = self.page(request, scope, 429, "limited")
        response.headers["Retry-After"] = str(seconds)
        return response

    def denied(
        self, request: web.Request, scope: Scope, decision: Decision, *, page: str | None = None
    ) -> web.Response:
        """The answer to a decision that opens nothing; `page` instead of the outcome's own."""
        scope.outcome = decision.outcome
        name = page or decision.outcome.value
        if decision.outcome is Outcome.UNAVAILABLE:
            seconds = str(decision.retry_after)
            response = self.page(request, scope, 503, name, retry_after=seconds)
            response.headers["Retry-After"] = seconds
            return response
        response = self.page(request, scope, 401, name)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def unauthorized(self, request: web.Request, scope: Scope) -> web.Response:
        """401 to somebody without the secret of an operator's route."""
        response = self.page(request, scope, 401, "refused")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def unwritten(self, request: web.Request, scope: Scope) -> web.Response:
        """503: a sign-out or revocation that might not outlive this process."""
        scope.outcome = Outcome.UNAVAILABLE
        response = self.page(request, scope, 503, "unwritten")
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return response

    def forbidden(
        self, request: web.Request, scope: Scope, name: str, **facts: str
    ) -> web.Response:
        """403: an origin, a frame or a way to load us that is not allowed."""
        scope.outcome = Outcome.FORBIDDEN
        return self.page(request, scope, 403, name, **facts)

    def malformed(
        self, request: web.Request, scope: Scope, status: int, detail: str
    ) -> web.Response:
        """400 and its kin: not a request we can read."""
        scope.outcome = Outcome.MALFORMED
        return self.page(request, scope, status, "malformed", status=str(status), detail=detail)

    def wrong_method(
        self, request: web.Request, scope: Scope, allowed: Collection[str]
    ) -> web.Response:
        """405, to everyone alike."""
        names = ", ".join(allowed)
        response = self.malformed(request, scope, 405, f"this address takes {names} only")
        response.headers["Allow"] = names
        return response

    def too_long(self, request: web.Request, scope: Scope) -> web.Response:
        """400: a good token that no cookie can hold."""
        scope.outcome = Outcome.MALFORMED
        return self.page(request, scope, 400, "token_too_long")

    def not_found(self, request: web.Request, scope: Scope) -> web.Response:
        """404 where the site has no page of its own for it."""
        return self.page(request, scope, 404, "not_found")

    def failed(self, request: web.Request, scope: Scope) -> web.Response:
        """500 without detail; the log has it."""
        scope.outcome = Outcome.FAILED
        return self.page(request, scope, 500, "failed")

    def see_other(self, location: str) -> web.Response:
        """303 after an intake or a sign-out, to a path of ours."""
        return web.Response(status=303, headers={"Location": self._prefix + location})
