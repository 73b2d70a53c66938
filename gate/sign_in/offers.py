"""The ways in that `[sign_in]` offers: the page, the way to the portal, and the button that signs
out."""

from aiohttp import web

from gate.config.sign_in import SignInSettings
from gate.intake import is_navigation
from gate.outcome import Outcome
from gate.scope import SCOPE, Scope
from gate.sign_in.pages import SignInPages
from gate.sign_in.surroundings import Surroundings, html, reader_of
from gate.sign_in.wanted import LONGEST, START, portal_address, wanted_by


class OfferHandlers:
    """`/-/sign-in` and `/-/sign-in/portal`, and the same page in place of a 401."""

    def __init__(self, settings: SignInSettings, pages: SignInPages, around: Surroundings) -> None:
        self._settings = settings
        self._pages = pages
        self._around = around

    def instead_of(
        self, request: web.Request, scope: Scope, outcome: Outcome
    ) -> web.StreamResponse | None:
        """The page for a person without a session in a window of their own; None for all others,
        and where no way in is configured."""
        headers = request.headers
        alone = headers.get("Sec-Fetch-Dest", "document") == "document"
        if not (self._settings and alone and is_navigation(headers)):
            return None
        if outcome not in (Outcome.NO_TOKEN, Outcome.EXPIRED):
            return None
        scope.outcome = outcome
        response = html(401, self._pages.offer(reader_of(request), why=outcome.value))
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def page(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/sign-in`. Asking for it begins nothing."""
        stated = request.query.get("next", "")
        wanted = stated if len(stated) <= LONGEST else ""
        return html(200, self._pages.offer(reader_of(request), wanted=wanted or START))

    async def portal(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/sign-in/portal`: on to the portal, which is told the wanted page."""
        around, scope = self._around, request[SCOPE]
        stated = request.query.get("next", "")
        wanted = wanted_by(stated, request.headers, around.origins.own(scope))
        address = portal_address(self._settings.portal_url, wanted, around.reader)
        return around.answers.see_other(address)

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/sign-out`: a page with a button. Only the button's POST ends anything."""
        response = html(200, self._pages.sign_out(reader_of(request)))
        del response.headers["Content-Security-Policy"]  # the gate's own: portals may frame it
        return response
