"""The demo's "phone", and the authorization server behind it (RFC 8628).

It plays what a company's identity provider or wallet does when a screen without a keyboard shows a
QR code: it hands out a code for that screen, and a person says yes or no to it elsewhere.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT: Final = "docs-gate-demo"
LIFETIME: Final = 180
"""Seconds that a code is good."""

INTERVAL: Final = 0.5
"""Seconds between two questions; a real server says 5."""

_SLACK: Final = 0.25  # of a second, for clocks and networks
_MAX_SCREENS: Final = 1_000
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628, 6.1: no vowels, so no words


class Page(Protocol):
    """How the portal makes its pages."""

    def __call__(
        self, name: str, request: web.Request, *, status: int = 200, **facts: object
    ) -> web.Response:
        """The page of this name."""


@dataclass(slots=True)
class _Screen:
    """One screen that shows a code."""

    user_code: str
    begun: float
    asked: float
    refused: bool = False
    token: str = ""


class Phone:
    """The handlers, and the screens that wait. In memory and bounded: the oldest go first.

    *admit* makes a token for a person by key, or says None.
    """

    def __init__(
        self, page: Page, admit: Callable[[str], str | None], clock: Callable[[], float]
    ) -> None:
        self._page = page
        self._admit = admit
        self._clock = clock
        self._screens: OrderedDict[str, _Screen] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/phone", self.look),
            web.post("/phone", self.decide),
            web.post("/api/device", self.begin),
            web.post("/api/token", self.token),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        """The device authorization request (section 3.1)."""
        form = await request.post()
        if form.get("client_id") != CLIENT:
            return _error("invalid_client", 401)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        device_code = secrets.token_urlsafe(32)
        now = self._clock()
        self._screens[device_code] = _Screen(user_code, begun=now, asked=now)
        if len(self._screens) > _MAX_SCREENS:
            self._screens.popitem(last=False)
        address = f"{request.scheme}://{request.host}/phone"
        return web.json_response(
            {
                "device_code": device_code,
                "user_code": user_code,
                "verification_uri": address,
                "verification_uri_complete": f"{address}?user_code={user_code}",
                "expires_in": LIFETIME,
                "interval": INTERVAL,
            }
        )

    async def token(self, request: web.Request) -> web.Response:
        """The device access token request (section 3.4)."""
        form = await request.post()
        if form.get("client_id") != CLIENT:
            return _error("invalid_client", 401)
        if form.get("grant_type") != GRANT:
            return _error("unsupported_grant_type")
        device_code = str(form.get("device_code", ""))
        screen = self._screens.get(device_code)
        if screen is None:
            return _error("invalid_grant")
        if self._is_over(screen):
            del self._screens[device_code]
            return _error("expired_token")
        if screen.refused or screen.token:
            del self._screens[device_code]  # a code is good once
            if screen.refused:
                return _error("access_denied")
            return web.json_response({"access_token": screen.token, "token_type": "Bearer"})
        now, before = self._clock(), screen.asked
        screen.asked = now
        too_soon = now - before < INTERVAL - _SLACK
        return _error("slow_down" if too_soon else "authorization_pending")

    async def look(self, request: web.Request) -> web.Response:
        """What was scanned; without a code, a place to type it."""
        return self._show(request, request.query.get("user_code", ""))

    async def decide(self, request: web.Request) -> web.Response:
        """The person says yes, as somebody the portal knows, or no."""
        form: Mapping[str, Any] = await request.post()
        screen = self._of(str(form.get("user_code", "")))
        if screen is None:
            return self._show(request, str(form.get("user_code", "")))
        if form.get("answer") == "refuse":
            screen.refused = True
            return self._page("phone.html", request, state="refused", code="")
        token = self._admit(str(form.get("person", "")))
        if token is None:
            return self._page("phone.html", request, status=400, state="ask", code=screen.user_code)
        screen.token = token
        return self._page("phone.html", request, state="approved", code="")

    def _show(self, request: web.Request, typed: str) -> web.Response:
        screen = self._of(typed)
        if screen is not None:
            return self._page("phone.html", request, state="ask", code=screen.user_code)
        state, status = ("unknown", 404) if typed else ("empty", 200)
        return self._page("phone.html", request, status=status, state=state, code="")

    def _of(self, typed: str) -> _Screen | None:
        """The screen that shows this code and waits; case and signs do not count."""
        letters = "".join(sign for sign in typed.upper() if sign in _LETTERS)
        waiting = (
            screen
            for screen in self._screens.values()
            if not (screen.refused or screen.token or self._is_over(screen))
        )
        return next((s for s in waiting if s.user_code.replace("-", "") == letters), None)

    def _is_over(self, screen: _Screen) -> bool:
        return self._clock() - screen.begun >= LIFETIME


def _error(code: str, status: int = 400) -> web.Response:
    return web.json_response({"error": code}, status=status)
