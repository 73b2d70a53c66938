"""The session: what the encrypted cookie holds, how it is sealed and opened, and the only writer
of Set-Cookie.

The cookie is `__Host-<name>`, Partitioned, and sealed with Fernet under the cookie's own keys: the
newest seals, every one opens. Anything that does not open is no session, never an error.
"""

import base64
import json
import logging
import re
import secrets
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType

import aiohttp_session
from aiohttp import web
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from multidict import CIMultiDictProxy

from gate.config.settings import SessionSettings
from gate.config.spelling import LONGEST
from gate.tokens import Token, parse

log = logging.getLogger(__name__)

# aiohttp-session 2.12 keeps its state in a request under a plain string; it is not ours to change
warnings.filterwarnings("ignore", category=web.NotAppKeyWarning, module="aiohttp_session")

MAX_COOKIE_BYTES = 4096
"""Browsers drop larger cookies (RFC 6265, section 6.1); counted over the whole header value."""

_MAX_AGE_DIGITS = len(str(LONGEST))
"""Counted for every cookie, so that one that fitted once still fits when it is renewed."""

FUTURE_SECONDS = 60
"""A cookie that claims to be younger than this is from a wrong clock or a forger: no session."""

REMEMBERED = 10_000
"""Opened cookies remembered: opening one costs more than all the rest of a warm request."""

_KEY = "docs-gate"
_SEALED = re.compile(r"[A-Za-z0-9_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class Session:
    """What a browser's cookie holds. Times are Unix time in seconds."""

    id: str
    issued: float
    """When the token came in: the absolute limit counts from here and never moves."""
    renewed: float
    """When this cookie was written: the idle limit counts from here."""
    fingerprint: str
    """SHA-256 of its token."""
    token: Token | None = field(repr=False)
    """None for a ticket, which is not kept."""
    expires: float | None = None
    """The end that the verify API named, for tickets."""
    subject: str | None = None
    """For whom, for tickets: other sessions ask the verdict."""

    def holds(self, token: Token) -> bool:
        """Whether this is the session that the token made."""
        return secrets.compare_digest(self.fingerprint, token.fingerprint)


class TokenTooLong(Exception):
    """The token does not fit into the cookie."""


class SessionSeal:
    """Makes, seals and opens sessions. `clock` is the wall clock, Unix time in seconds."""

    def __init__(
        self, settings: SessionSettings, keys: Sequence[bytes], clock: Callable[[], float]
    ) -> None:
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._settings = settings
        self._clock = clock
        self._opened: OrderedDict[str, Session] = OrderedDict()
        self.name = f"__Host-{settings.cookie_name}"
        self._start = self.name + "="
        self._attributes = "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age="
        self.deletion = f"{self.name}={self._attributes}0"

    def new(self, token: Token, *, expires: float | None, subject: str | None) -> Session:
        """A session for a token that was judged good. `expires` and `subject` are for tickets."""
        now = self._now()
        ticket = not self._settings.recheck
        return Session(
            id=secrets.token_hex(16),
            issued=now,
            renewed=now,
            fingerprint=token.fingerprint,
            token=None if ticket else token,
            expires=expires if ticket else None,
            subject=subject if ticket else None,
        )

    def fits(self, session: Session) -> bool:
        """Whether the session fits into a cookie."""
        try:
            self.set_cookie(session)
        except TokenTooLong:
            return False
        return True

    def set_cookie(self, session: Session) -> str:
        """The Set-Cookie value, with its Max-Age. Raises `TokenTooLong`."""
        sealed = self._fernet.encrypt(_dump(session)).decode("ascii")
        value = f"{self.name}={sealed}{self._attributes}"
        if len(value) + _MAX_AGE_DIGITS > MAX_COOKIE_BYTES:
            raise TokenTooLong
        return f"{value}{self.max_age(session)}"

    def max_age(self, session: Session) -> int:
        """Seconds that the browser keeps the cookie: the smaller of idle time and lifetime left."""
        left = self._end(session) - self._clock()
        return max(0, int(min(self._settings.idle_timeout, left)))

    def alive(self, session: Session) -> bool:
        """Whether the session is within its idle and absolute limits."""
        now = self._clock()
        return now < self._end(session) and now - session.renewed < self._settings.idle_timeout

    def half_idle(self, session: Session) -> bool:
        """Whether half the idle time has gone, so that a page view renews the cookie."""
        return self._clock() - session.renewed >= self._settings.idle_timeout / 2

    def renewed(self, session: Session) -> Session:
        """The same session, seen now."""
        return replace(session, renewed=self._now())

    def _now(self) -> float:
        # to the millisecond: what was issued before a revocation must be told from what came after
        return round(self._clock(), 3)

    def _end(self, session: Session) -> float:
        end = session.issued + self._settings.lifetime
        return end if session.expires is None else min(end, session.expires)

    def of(self, headers: CIMultiDictProxy[str]) -> Session | None:
        """The session that a request's headers bring, or None."""
        cookies = headers.getall("Cookie", ())
        return self.open("; ".join(cookies)) if cookies else None

    def open(self, cookie_header: str | None) -> Session | None:
        """The session in a Cookie header, or None. It may have run out: ask `alive`."""
        if cookie_header is None or self.name not in cookie_header:
            return None
        sealed = self._sealed_value(cookie_header)
        if sealed is None:
            return None
        session = self._opened.get(sealed)
        if session is None:
            session = self._unseal(sealed)
            if session is None:
                return None
            self._remember(sealed, session)
        if max(session.issued, session.renewed) > self._clock() + FUTURE_SECONDS:
            return None
        return session

    def _sealed_value(self, header: str) -> str | None:
        if ";" not in header and header.startswith(self._start):
            return header[len(self._start) :]  # alone, as in a partition of its own
        values = [
            value
            for name, _, value in (pair.strip(" \t").partition("=") for pair in header.split(";"))
            if name == self.name
        ]
        # two of one name: somebody else's, or planted; which is meant cannot be known
        return values[0] if len(values) == 1 else None

    def _unseal(self, sealed: str) -> Session | None:
        # Python's base64 opens endless spellings of one value, and each would be remembered
        if len(sealed) > MAX_COOKIE_BYTES or _SEALED.fullmatch(sealed) is None:
            return None
        try:
            return _load(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError):
            log.debug("a cookie did not open")
            return None

    def _remember(self, sealed: str, session: Session) -> None:
        self._opened[sealed] = session
        if len(self._opened) > REMEMBERED:
            self._opened.popitem(last=False)


_FIELDS: Mapping[str, tuple[type, ...]] = {
    "i": (str,),
    "s": (int, float),
    "r": (int, float),
    "h": (str,),
    "t": (str, NoneType),
    "e": (int, float, NoneType),
    "u": (str, NoneType),
}


def _dump(session: Session) -> bytes:
    fields = {
        "i": session.id,
        "s": session.issued,
        "r": session.renewed,
        "h": session.fingerprint,
        "t": session.token and session.token.text,
        "e": session.expires,
        "u": session.subject,
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(kept, separators=(",", ":")).encode("utf-8")


def _load(plain: bytes) -> Session:
    """Raises ValueError for anything that `_dump` did not write."""
    fields = json.loads(plain)
    if not isinstance(fields, dict) or any(
        type(fields.get(name)) not in kinds for name, kinds in _FIELDS.items()
    ):
        raise ValueError("not a session of this version")
    text = fields.get("t")
    token = None if text is None else parse(text)
    if token is None and text is not None:
        raise ValueError("not a token")
    return Session(
        id=fields["i"],
        issued=fields["s"],
        renewed=fields["r"],
        fingerprint=fields["h"],
        token=token,
        expires=fields.get("e"),
        subject=fields.get("u"),
    )


class SessionStorage(aiohttp_session.AbstractStorage):
    """The seal behind aiohttp-session's interface.

    Its session mapping holds one `Session`; emptied, it means that the cookie is to be deleted.
    """

    def __init__(self, seal: SessionSeal) -> None:
        super().__init__(cookie_name=seal.name)
        self._seal = seal

    async def load_session(self, request: web.Request) -> aiohttp_session.Session:
        """Whatever the request's cookies hold; never raises."""
        opened = self._seal.of(request.headers)
        stored = aiohttp_session.Session(None, data=None, new=opened is None)
        if opened is not None:
            stored[_KEY] = opened
            stored._changed = False
        return stored

    async def save_session(
        self,
        request: web.Request,
        response: web.StreamResponse,
        session: aiohttp_session.Session,
    ) -> None:
        """Write what a handler put or emptied. Raises `TokenTooLong`."""
        held = session.get(_KEY)
        value = self._seal.deletion if held is None else self._seal.set_cookie(held)
        response.headers["Set-Cookie"] = value


async def current(request: web.Request) -> Session | None:
    """The request's session, opened once a request."""
    stored = await aiohttp_session.get_session(request)
    session: Session | None = stored.get(_KEY)
    return session


async def begin(request: web.Request, session: Session) -> None:
    """Let the response to this request start the session in the browser."""
    stored = await aiohttp_session.new_session(request)
    stored[_KEY] = session


async def end(request: web.Request) -> None:
    """Let the response to this request delete the browser's cookie."""
    stored = await aiohttp_session.get_session(request)
    stored.invalidate()
