"""The demo's portal: a sign-in page, pages that frame the documentation, a verify API.

It plays the system a company already has, so it does what such a system does and no
more: it knows its people, hands out tokens, and answers whether a token is good. Only
the portal's side may live here; it knows the gate by its address alone.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from yarl import URL

from gate.demo.phone import Phone

_STATIC: Final = Path(__file__).parent / "static"
_COOKIE: Final = "portal"
_MAX_SIGNED_IN: Final = 1_000
_MAX_TOKENS: Final = 10_000
_WORKDAY: Final = 8 * 3600
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Person:
    """Someone the portal knows: who, what the verify API will say, for how many seconds."""

    key: str
    role: str
    badge: str
    about: str
    welcome: bool
    token_lifetime: int = _WORKDAY


PEOPLE: Final[Mapping[str, Person]] = {
    person.key: person
    for person in (
        Person(
            "colleague",
            "Colleague",
            "Welcome",
            "Works here and reads the documentation all day.",
            welcome=True,
        ),
        Person(
            "former-colleague",
            "Former colleague",
            "Refused",
            "Left the company. The portal says no when it is asked.",
            welcome=False,
        ),
        Person(
            "visitor",
            "Visitor",
            "One minute",
            "May have a short look. After a minute the answer turns to no.",
            welcome=True,
            token_lifetime=_MINUTE,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class _Token:
    visit: str
    person: Person
    expires: int


class Reception:
    """Who is signed in to the portal, and which tokens were handed out to them.

    In memory and bounded: the oldest entries go first. A *visit* lasts from sign-in to
    sign-out; its id is the portal's own cookie. No token outlives the visit it is from.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._people: OrderedDict[str, Person] = OrderedDict()
        self._tokens: OrderedDict[str, _Token] = OrderedDict()

    def sign_in(self, person: Person) -> str:
        """Begin a visit of *person*; its id."""
        visit = secrets.token_urlsafe(32)
        self._people[visit] = person
        if len(self._people) > _MAX_SIGNED_IN:
            self._people.popitem(last=False)
        return visit

    def sign_out(self, visit: str) -> None:
        """End the visit, and with it every token handed out in it."""
        self._people.pop(visit, None)

    def person(self, visit: str) -> Person | None:
        return self._people.get(visit)

    def hand_out(self, visit: str) -> str:
        """A fresh token for the person on this visit; `KeyError` if it has ended."""
        person = self._people[visit]
        token = secrets.token_urlsafe(32)
        self._tokens[token] = _Token(visit, person, int(self._clock()) + person.token_lifetime)
        if len(self._tokens) > _MAX_TOKENS:
            self._tokens.popitem(last=False)
        return token

    def verdict(self, token: str) -> dict[str, bool | str | int]:
        """What the verify API says about *token*, in the words of RFC 7662."""
        known = self._tokens.get(token)
        if known is None or not known.person.welcome or known.visit not in self._people:
            return {"active": False}
        if known.expires <= self._clock():
            return {"active": False}
        return {"active": True, "sub": known.person.key, "exp": known.expires}


class _Portal:
    """The handlers, with what they share."""

    def __init__(self, docs_url: str, reception: Reception, clock: Callable[[], float]) -> None:
        self._docs_url = docs_url.rstrip("/")
        self._reception = reception
        self.phone = Phone(self._page, self._admit, clock)
        docs = URL(docs_url).origin()
        self._policy = (
            f"default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self' {docs}; "
            f"connect-src 'self'; frame-src 'self' {docs}; "
            f"form-action 'self' {docs}; base-uri 'none'; frame-ancestors 'self'"
        )
        self._templates = Environment(
            loader=PackageLoader("gate.demo"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        for name in self._templates.list_templates():  # now, not while a request waits
            self._templates.get_template(name)

    def _page(
        self, name: str, request: web.Request, *, status: int = 200, **facts: object
    ) -> web.Response:
        html = self._templates.get_template(name).render(
            person=self._reception.person(request.cookies.get(_COOKIE, "")),
            path=request.path,
            docs_url=self._docs_url,
            **{"people": PEOPLE.values(), **facts},
        )
        return web.Response(text=html, content_type="text/html", charset="utf-8", status=status)

    def _admit(self, key: str) -> str | None:
        """A token for the person who holds the phone: a visit that nobody signs out of."""
        person = PEOPLE.get(key)
        return None if person is None else self._reception.hand_out(self._reception.sign_in(person))

    def _visit(self, request: web.Request) -> str:
        """The visit this request is part of; a stranger is sent to the sign-in page."""
        visit = request.cookies.get(_COOKIE, "")
        if self._reception.person(visit) is None:
            raise web.HTTPSeeOther("/sign-in")
        return visit

    async def home(self, request: web.Request) -> web.Response:
        self._visit(request)
        return self._page("home.html", request)

    async def docs(self, request: web.Request) -> web.Response:
        self._visit(request)
        return self._page("docs.html", request)

    async def docs_token(self, request: web.Request) -> web.Response:
        """The element's `token-url`: a token for whoever the portal's own cookie names."""
        try:
            return web.json_response(
                {"token": self._reception.hand_out(request.cookies.get(_COOKIE, ""))}
            )
        except KeyError:
            return web.json_response({"error": "not signed in to the portal"}, status=401)

    async def docs_frame(self, request: web.Request) -> web.Response:
        token = self._reception.hand_out(self._visit(request))
        return self._page("docs_frame.html", request, token=token)

    async def docs_form(self, request: web.Request) -> web.Response:
        token = self._reception.hand_out(self._visit(request))
        return self._page("docs_form.html", request, token=token)

    async def empty_frame(self, request: web.Request) -> web.Response:
        """What the named frame holds until the form is sent: an empty one is white at night."""
        return self._page("empty_frame.html", request)

    async def ask_who(self, request: web.Request) -> web.Response:
        return self._page("sign_in.html", request, people=PEOPLE.values(), unknown=False)

    async def sign_in(self, request: web.Request) -> web.Response:
        person = PEOPLE.get(str((await request.post()).get("person", "")))
        if person is None:
            return self._page(
                "sign_in.html", request, people=PEOPLE.values(), unknown=True, status=400
            )
        self._reception.sign_out(request.cookies.get(_COOKIE, ""))
        answer = web.HTTPSeeOther("/docs")
        # Not Secure: the demo is plain http, where Safari would not keep such a cookie.
        answer.set_cookie(
            _COOKIE, self._reception.sign_in(person), path="/", httponly=True, samesite="Lax"
        )
        raise answer

    async def sign_out(self, request: web.Request) -> web.Response:
        self._reception.sign_out(request.cookies.get(_COOKIE, ""))
        answer = web.HTTPSeeOther("/sign-in")
        answer.del_cookie(_COOKIE, path="/", httponly=True, samesite="Lax")
        raise answer

    async def verify(self, request: web.Request) -> web.Response:
        return web.json_response(self._reception.verdict(request.query.get("token", "")))

    async def valid(self, request: web.Request) -> web.Response:
        verdict = self._reception.verdict(request.query.get("token", ""))
        return web.json_response(verdict["active"])

    async def not_found(self, request: web.Request) -> web.Response:
        return self._page("not_found.html", request, status=404)

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers of every answer; the referrer policy is what a gate's portal needs.

        `same-origin` or `no-referrer` would make the form's `Origin` header `null`.
        """
        static = request.path.startswith("/static/")
        response.headers["Cache-Control"] = "no-cache" if static else "no-store"
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"


def make_portal(docs_url: str, *, clock: Callable[[], float] = time.time) -> web.Application:
    """The portal whose frames show the documentation at *docs_url*, with its verify API.

    *clock* is wall-clock time in seconds: the tokens' expiries are told to others.
    """
    portal = _Portal(docs_url, Reception(clock), clock)
    app = web.Application()
    app.add_routes(
        [
            web.get("/", portal.home),
            web.get("/sign-in", portal.ask_who),
            web.post("/sign-in", portal.sign_in),
            web.post("/sign-out", portal.sign_out),
            web.get("/docs", portal.docs),
            web.get("/docs-frame", portal.docs_frame),
            web.get("/docs-form", portal.docs_form),
            web.get("/empty-frame", portal.empty_frame),
            web.get("/api/docs-token", portal.docs_token),
            web.get("/api/verify", portal.verify),
            web.get("/api/valid", portal.valid),
            *portal.phone.routes(),
            web.static("/static", _STATIC),
            web.get("/{rest:.*}", portal.not_found),
        ]
    )
    app.on_response_prepare.append(portal.dress)
    return app
