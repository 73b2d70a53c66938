"""The session cookie: how long a session lives, what the browser is told to keep, and the only
writer of Set-Cookie.

The cookie is `__Host-<name>`, Partitioned, and sealed under the cookie's own keys.
"""

import secrets
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import aiohttp_session
from aiohttp import web
from multidict import CIMultiDictProxy

from gate.config.settings import SessionSettings
from gate.config.spelling import LONGEST
from gate.seal import Seal, Session
from gate.state.revocations import CLOCK_SECONDS
from gate.tokens import Token

# aiohttp-session 2.12 keeps its state in a request under a plain string; it is not ours to change
warnings.filterwarnings("ignore", category=web.NotAppKeyWarning, module="aiohttp_session")

MAX_COOKIE_BYTES = 4096
"""Browsers drop larger cookies (RFC 6265, section 6.1); counted over the whole header value."""

_MAX_AGE_DIGITS = len(str(LONGEST))
"""Counted for every cookie, so that one that fitted once still fits when it is renewed."""

FUTURE_SECONDS = CLOCK_SECONDS
"""How much younger than now a cookie may claim to be. The wall clock may have been put back by an
hour, which is no reason to sign everybody out; one further ahead is from a clock that was wrong."""

CLOCKS_DIFFER = 60
"""Seconds between the clocks of gates that share sessions at most: a session that is ahead by more
is from before a clock went back."""

_KEY = "docs-gate"


class TokenTooLong(Exception):
    """The token does not fit into the cookie."""


class SessionSeal:
    """Makes, seals and opens sessions. `clock` is the wall clock, Unix time in seconds.

    `sealed` counts the cookies that were written, `refused` those that came and are no session.
    """

    def __init__(
        self, settings: SessionSettings, keys: Sequence[bytes], clock: Callable[[], float]
    ) -> None:
        self._seal = Seal(keys)
        self._settings = settings
        self._clock = clock
        self.name = f"__Host-{settings.cookie_name}"
        self._start = self.name + "="
        self._attributes = "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age="
        self.deletion = f"{self.name}={self._attributes}0"
        self.sealed = self.refused = 0

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
        around = len(self.name) + len("=") + len(self._attributes)
        return around + self._seal.length(session) + _MAX_AGE_DIGITS <= MAX_COOKIE_BYTES

    def set_cookie(self, session: Session) -> str:
        """The Set-Cookie value, with its Max-Age. Raises `TokenTooLong`."""
        value = self._cookie(session)
        self.sealed += 1
        return value

    def _cookie(self, session: Session) -> str:
        value = f"{self.name}={self._seal.seal(session)}{self._attributes}"
        if len(value) + _MAX_AGE_DIGITS > MAX_COOKIE_BYTES:
            raise TokenTooLong
        return f"{value}{self.max_age(session)}"

    def max_age(self, session: Session) -> int:
        """Seconds that the browser keeps the cookie: the smaller of idle time and lifetime left."""
        left = self.end(session) - self._clock()
        return max(0, int(min(self._settings.idle_timeout, left)))

    def alive(self, session: Session) -> bool:
        """Whether the session is within its idle and absolute limits."""
        now = self._clock()
        return now < self.end(session) and now - session.renewed < self._settings.idle_timeout

    def half_idle(self, session: Session) -> bool:
        """Whether half the idle time has gone, so that a page view renews the cookie. So it does
        where the clock went back: the browser's own limit would be over first."""
        gone = self._clock() - session.renewed
        return gone >= self._settings.idle_timeout / 2 or gone < -CLOCKS_DIFFER

    def untouched(self, session: Session) -> tuple[float, float]:
        """Between which times the session is alive and not to be renewed, Unix time."""
        half_idle = session.renewed + self._settings.idle_timeout / 2
        not_ahead = max(_earliest(session), session.renewed - CLOCKS_DIFFER)
        return not_ahead, min(self.end(session), half_idle)

    def renewed(self, session: Session) -> Session:
        """The same session, seen now."""
        return replace(session, renewed=self._now())

    def _now(self) -> float:
        # to the millisecond: what was issued before a revocation must be told from what came after
        return round(self._clock(), 3)

    def end(self, session: Session) -> float:
        """When the session ends however much it is used, Unix time."""
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
        session = self.look(cookie_header, tell=True)
        if session is None:
            self.refused += 1
        return session

    def look(self, cookie_header: str, *, tell: bool = False) -> Session | None:
        """The same for whoever leaves it to another to refuse: nothing is counted or told."""
        sealed = self._sealed_value(cookie_header)
        session = None if sealed is None else self._seal.open(sealed, tell=tell)
        return None if session is None or self._is_of_the_future(session) else session

    def _is_of_the_future(self, session: Session) -> bool:
        return self._clock() < _earliest(session)

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


def _earliest(session: Session) -> float:
    return max(session.issued, session.renewed) - FUTURE_SECONDS


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
