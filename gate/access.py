"""The decision: may this be answered, and why.

One function without HTTP in it. Session or token in, `Decision` out; what an outcome looks like on
the wire is the corridor's business.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

from gate.cache import Remembered, Verdict, VerdictCache
from gate.clocks import Clocks
from gate.outcome import Outcome
from gate.seal import Session
from gate.session import SessionSeal
from gate.state.revocations import Revocations
from gate.tokens import Token
from gate.verify.cause import Cause
from gate.verify.judge import RETRY_AFTER, VerifyUnavailable

KEYS_KNOWN = 20_000
"""Cache keys remembered by their token's fingerprint: a reader's next page hashes nothing."""


class Verifier(Protocol):
    """Whoever judges a token: a verdict, or `VerifyUnavailable`."""

    async def verify(self, token: Token) -> Verdict:
        """Ask, always anew."""


class Tier(Protocol):
    """Verdicts that replicas share. Its failures are its own: it raises nothing."""

    async def get(self, key: bytes) -> Verdict | None:
        """What another replica was told, with the time when it asked."""

    async def put(self, key: bytes, verdict: Verdict) -> None:
        """Let the others know."""


class Decision(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class Permit:
    """A yes to a session, with all that it rests on: see `Access.holds`."""

    session: Session
    subject: str | None
    verdict: Remembered | None
    """None for a ticket, about which nobody is asked again."""
    edition: int
    """Of the revocations."""
    after: float
    until: float
    """Unix time in seconds, as `after`."""


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
        revocations: Revocations,
        secret: bytes,
        fingerprint: bytes,
        recheck: bool,
        clocks: Clocks,
        shared: Tier | None = None,
    ) -> None:
        self._seal = seal
        self._cache = cache
        self._verifier = verifier
        self._revocations = revocations
        prefix = hmac.digest(secret, b"verdict\0" + fingerprint, hashlib.sha256)
        # copied for every key: to begin anew costs OpenSSL ten times as much as the hashing
        self._mac = hmac.new(prefix, digestmod=hashlib.sha256)
        self._keys: dict[str, bytes] = {}
        self._recheck = recheck
        self._clocks = clocks
        self._shared = shared if recheck else None  # a ticket is good at one gate, once

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

    def at_once(
        self, session: Session | None, *, public: bool
    ) -> tuple[Decision, Permit | None] | None:
        """The decision to let somebody read, where memory is enough for it; None for any other.
        With a permit where it need not be made each time."""
        found = None if session is None else self._recalled(session)
        if session is None or found is None or found[0].outcome is not Outcome.ALLOWED:
            return (_PUBLIC, None) if public else None
        decision, verdict = found
        if decision.session is not None:
            return decision, None
        after, until = self._seal.untouched(session)
        if verdict is not None and verdict.verdict.expires is not None:
            until = min(until, verdict.verdict.expires)
        edition = self._revocations.edition
        return decision, Permit(session, decision.subject, verdict, edition, after, until)

    def recall(self, session: Session) -> Decision | None:
        """The decision about a session where memory is enough; None where the API must be asked."""
        found = self._recalled(session)
        return None if found is None else found[0]

    def _recalled(self, session: Session) -> tuple[Decision, Remembered | None] | None:
        self._revocations.follow()
        revoked = bool(self._revocations)
        if not self._seal.alive(session) or (revoked and self._ended(session, session.subject)):
            return _EXPIRED, None
        if not self._recheck:
            return self._welcome(session, Decision(Outcome.ALLOWED, session.subject)), None
        if session.token is None:  # a ticket from before `recheck` was turned on
            return _EXPIRED, None
        key = self._known_key(session)
        found = self._cache.look(key, partial(self._ask, session.token))
        if found is None:
            return None
        verdict = found.verdict
        if revoked and self._ended(session, verdict.subject):
            return _EXPIRED, None
        if revoked and self._outdated(verdict):
            self._cache.drop(key)
            return None
        if not verdict.active:
            return _REFUSED, None
        return self._welcome(session, Decision(Outcome.ALLOWED, verdict.subject)), found

    def holds(self, permit: Permit, wall: float) -> bool:
        """Whether nothing has changed since: no time limit reached at `wall`, nothing revoked, the
        verdict not replaced."""
        revocations = self._revocations
        revocations.follow()
        return (
            permit.edition == revocations.edition
            and permit.after <= wall < permit.until
            and (permit.verdict is None or self._cache.sure(permit.verdict))
        )

    async def admit(self, token: Token, session: Session | None) -> Decision:
        """Judge a token that comes in to begin a session.

        The session's own token is no new token: nothing is asked, nothing is written.
        """
        if session is not None and session.holds(token) and self._holds(session):
            return Decision(Outcome.INTAKE, subject=session.subject)
        if not self._recheck and self._cache.holds_yes(key := self._key(token)):
            self._cache.drop(key)  # a ticket opens one session: for another it is asked about anew
        decision = await self._judge(token)
        if decision.outcome is Outcome.STALE:  # enough to go on reading, not to come in
            return decision._replace(outcome=Outcome.UNAVAILABLE, retry_after=RETRY_AFTER)
        if decision.outcome is not Outcome.ALLOWED:
            return decision
        begun = self._seal.new(token, expires=decision.session_expires, subject=decision.subject)
        return decision._replace(outcome=Outcome.INTAKE, session=begun)

    def knows(self, token: Token, session: Session | None) -> bool:
        """Whether a token is the session's own, or remembered as good: nobody need be asked."""
        if session is not None and session.holds(token) and self._holds(session):
            return True
        verdict = self._cache.get(self._key(token))
        return verdict is not None and verdict.active

    def until(self, session: Session) -> float:
        """When a session ends by what is known now, Unix time: by its own limits, or with its
        token."""
        end = self._seal.end(session)
        if not self._recheck or session.token is None:
            return end
        verdict = self._cache.get(self._key(session.token))
        return end if verdict is None or verdict.expires is None else min(end, verdict.expires)

    def _holds(self, session: Session) -> bool:
        return self._seal.alive(session) and not self._ended(session, session.subject)

    def _ended(self, session: Session, subject: str | None) -> bool:
        """Whether it was signed out, or ended with its token, its subject or everything."""
        revocations = self._revocations
        revocations.follow()
        return bool(revocations) and (
            revocations.ends_session(session.id)
            or revocations.ends_token(session.fingerprint)
            or session.issued <= revocations.ends_at(subject)
        )

    def _void(self, token: Token, verdict: Verdict) -> bool:
        """Whether a revocation came after the question was put."""
        self._revocations.follow()
        return bool(self._revocations) and (
            self._revocations.ends_token(token.fingerprint) or self._outdated(verdict)
        )

    def _outdated(self, verdict: Verdict) -> bool:
        return verdict.asked <= self._revocations.ends_at(verdict.subject)

    def _of_public(self, session: Session | None) -> Decision:
        # nobody is asked about what anyone may read, but a reader's page view still counts
        known = None if session is None else self.recall(session)
        return known if known is not None and known.outcome is Outcome.ALLOWED else _PUBLIC

    async def _of_session(self, session: Session) -> Decision:
        assert session.token is not None, "recall answers for tickets"
        decision = await self._judge(session.token)
        if self._ended(session, decision.subject):
            return _EXPIRED
        return self._welcome(session, decision)

    def _welcome(self, session: Session, decision: Decision) -> Decision:
        if decision.outcome is Outcome.ALLOWED and self._seal.half_idle(session):
            return decision._replace(session=self._seal.renewed(session))
        return decision

    async def _judge(self, token: Token) -> Decision:
        self._revocations.follow()  # another worker may have been told
        if self._revocations and self._revocations.ends_token(token.fingerprint):
            return _REFUSED
        verdict = self._remembered(token)
        if verdict is not None:
            return _of_verdict(verdict, None)
        begun = self._clocks.monotonic()
        key = self._key(token)
        try:
            verdict = await self._cache.verdict(key, partial(self._ask, token))
            if self._void(token, verdict):
                raise _revoked_meanwhile()
        except VerifyUnavailable as problem:
            return self._of_silence(token, key, problem, self._since(begun))
        return _of_verdict(verdict, self._since(begun))

    def _remembered(self, token: Token) -> Verdict | None:
        key = self._key(token)
        verdict = self._cache.get(key, partial(self._ask, token))
        if verdict is not None and self._void(token, verdict):
            self._cache.drop(key)
            return None
        return verdict

    async def _ask(self, token: Token) -> Verdict:
        """Ask the other replicas, then the verify API. A revocation while it thinks makes its
        answer worth nothing."""
        key = self._key(token)
        found = await self._shared.get(key) if self._shared else None
        if found is not None and not self._void(token, found):
            return found
        asked = self._clocks.wall()
        verdict = replace(await self._verifier.verify(token), asked=asked)
        if self._void(token, verdict):
            raise _revoked_meanwhile()
        if self._shared is not None:
            await self._shared.put(key, verdict)
        return verdict

    def _of_silence(
        self, token: Token, key: bytes, problem: VerifyUnavailable, verify_ms: float
    ) -> Decision:
        """The API cannot say: what was good a moment ago may be good enough."""
        stale = self._cache.stale(key)
        if stale is not None and not self._void(token, stale):
            return Decision(Outcome.STALE, stale.subject, verify_ms=verify_ms)
        return Decision(Outcome.UNAVAILABLE, verify_ms=verify_ms, retry_after=problem.retry_after)

    def _since(self, begun: float) -> float:
        return (self._clocks.monotonic() - begun) * 1000

    def _key(self, token: Token) -> bytes:
        mac = self._mac.copy()
        mac.update(token.text.encode("ascii"))
        return mac.digest()

    def _known_key(self, session: Session) -> bytes:
        key = self._keys.get(session.fingerprint)
        if key is None:
            assert session.token is not None, "a ticket has no verdict"
            if len(self._keys) >= KEYS_KNOWN:
                self._keys.clear()
            key = self._keys[session.fingerprint] = self._key(session.token)
        return key


def _revoked_meanwhile() -> VerifyUnavailable:
    return VerifyUnavailable(Cause.REVOKED, "revoked while it was asked", retry_after=1)


def _of_verdict(verdict: Verdict, verify_ms: float | None) -> Decision:
    if not verdict.active:
        return Decision(Outcome.REFUSED, verify_ms=verify_ms)
    return Decision(
        Outcome.ALLOWED,
        verdict.subject,
        verify_ms=verify_ms,
        session_expires=verdict.session_expires,
    )
