"""The decision: may this be answered, and why.

One function without HTTP in it. Session or token in, `Decision` out; what an outcome looks like on
the wire is the corridor's business.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gate.cache import Verdict, VerdictCache
from gate.outcome import Outcome
from gate.session import Session, SessionSeal
from gate.tokens import Token
from gate.verifier import VerifyUnavailable


class Verifier(Protocol):
    """Whoever judges a token: a verdict, or `VerifyUnavailable`."""

    async def verify(self, token: Token) -> Verdict:
        """Ask, always anew."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome with what its answer needs."""

    outcome: Outcome
    subject: str | None = None
    session: Session | None = None
    """The session to write into the browser: a new one, or one to renew on a page."""
    verify_ms: float | None = None
    """Milliseconds spent waiting for the verify API; None when it was not needed."""
    retry_after: int = 0
    """Seconds, when unavailable."""
    session_expires: float | None = None
    """The end that the verify API named for a ticket's session, Unix time."""


_PUBLIC = Decision(Outcome.PUBLIC)
_NO_TOKEN = Decision(Outcome.NO_TOKEN)
_REFUSED = Decision(Outcome.REFUSED)
_EXPIRED = Decision(Outcome.EXPIRED)


class Access:
    """Decides. `secret` and `fingerprint` make cache keys that nobody can guess and that change
    with the `[verify]` section; `recheck` is that of `[session]`."""

    def __init__(
        self,
        *,
        seal: SessionSeal,
        cache: VerdictCache,
        verifier: Verifier,
        secret: bytes,
        fingerprint: bytes,
        recheck: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seal = seal
        self._cache = cache
        self._verifier = verifier
        self._prefix = hmac.digest(secret, b"verdict\0" + fingerprint, hashlib.sha256)
        self._recheck = recheck
        self._clock = clock

    async def decide(
        self, session: Session | None, *, bearer: Token | None = None, public: bool = False
    ) -> Decision:
        """May this be read? A Bearer token decides alone; otherwise the session does."""
        if public:
            return self._of_public(session)
        if bearer is not None:
            return await self._judge(bearer)
        if session is None:
            return _NO_TOKEN
        return self.recall(session) or await self._of_session(session)

    def recall(self, session: Session) -> Decision | None:
        """The decision about a session where memory is enough; None where the API must be asked."""
        if not self._seal.alive(session):
            return _EXPIRED
        if not self._recheck:
            return self._welcome(session, session.subject)
        if session.token is None:  # a ticket from before `recheck` was turned on
            return _EXPIRED
        verdict = self._cache.get(self._key(session.token))
        if verdict is None:
            return None
        return self._welcome(session, verdict.subject) if verdict.active else _REFUSED

    async def admit(self, token: Token, session: Session | None) -> Decision:
        """Judge a token that comes in to begin a session.

        The session's own token is no new token: nothing is asked, nothing is written.
        """
        if session is not None and session.holds(token) and self._seal.alive(session):
            return Decision(Outcome.INTAKE, subject=session.subject)
        decision = await self._judge(token)
        if decision.outcome is not Outcome.ALLOWED:
            return decision
        return Decision(
            Outcome.INTAKE,
            subject=decision.subject,
            session=self._seal.new(
                token, expires=decision.session_expires, subject=decision.subject
            ),
            verify_ms=decision.verify_ms,
        )

    def _of_public(self, session: Session | None) -> Decision:
        # nobody is asked about what anyone may read, but a reader's page view still counts
        known = None if session is None else self.recall(session)
        return known if known is not None and known.outcome is Outcome.ALLOWED else _PUBLIC

    async def _of_session(self, session: Session) -> Decision:
        assert session.token is not None, "recall answers for tickets"
        decision = await self._judge(session.token)
        if decision.outcome is not Outcome.ALLOWED:
            return decision
        return self._welcome(session, decision.subject, decision.verify_ms)

    def _welcome(
        self, session: Session, subject: str | None, verify_ms: float | None = None
    ) -> Decision:
        renewed = self._seal.renewed(session) if self._seal.half_idle(session) else None
        return Decision(Outcome.ALLOWED, subject, renewed, verify_ms)

    async def _judge(self, token: Token) -> Decision:
        key = self._key(token)
        verdict = self._cache.get(key)
        if verdict is not None:
            return _of_verdict(verdict, None)
        begun = self._clock()
        try:
            verdict = await self._cache.verdict(key, lambda: self._verifier.verify(token))
        except VerifyUnavailable as problem:
            return Decision(
                Outcome.UNAVAILABLE,
                verify_ms=self._since(begun),
                retry_after=problem.retry_after,
            )
        return _of_verdict(verdict, self._since(begun))

    def _since(self, begun: float) -> float:
        return (self._clock() - begun) * 1000

    def _key(self, token: Token) -> bytes:
        return hmac.digest(self._prefix, token.text.encode("ascii"), hashlib.sha256)


def _of_verdict(verdict: Verdict, verify_ms: float | None) -> Decision:
    if not verdict.active:
        return Decision(Outcome.REFUSED, verify_ms=verify_ms)
    return Decision(
        Outcome.ALLOWED,
        verdict.subject,
        verify_ms=verify_ms,
        session_expires=verdict.session_expires,
    )
