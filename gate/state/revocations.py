"""What has been ended before its time: sessions, tokens, subjects, and everything before a moment.

Decisions ask it at every request, so it answers from memory; what was written by another worker is
followed through the journal. What must be known about tokens and subjects is kept as SHA-256, which
no key rotation changes.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from gate.state.journal import Journal, JournalProblem

Kind = Literal["session", "token", "subject", "everything"]

UNWRITTEN = "revocations"
"""The cause in readiness while the journal lacks what was ended."""

WORTH_A_REWRITE = 4096
"""Lines that have run out before the journal is written anew without them."""

CLOCK_SECONDS = 3660
"""How far the wall clock may go back without ending sessions: an hour, and a minute of what clocks
differ by anyway."""

LOOK_SECONDS = 5
"""Seconds between two calls of `write` at most: it looks at the wall clock, too."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """`kind` and `what` name what ends. What was issued up to `at` ends; the revocation itself may
    be forgotten at `until`. Both are Unix time in seconds."""

    kind: Kind
    what: str
    at: float
    until: float

    def line(self) -> bytes:
        """As the journal and the shared tier keep it."""
        return json.dumps([self.kind, self.what, self.at, self.until]).encode("ascii")


def revocation_of(line: bytes) -> Revocation | None:
    """The revocation in a line; None where it is none of ours."""
    try:
        kind, what, at, until = json.loads(line)
        revocation = Revocation(kind, what, float(at), float(until))
    except (ValueError, TypeError, RecursionError):
        return None
    known = kind in ("session", "token", "subject", "everything") and isinstance(what, str)
    return revocation if known else None


def fingerprint_of_subject(subject: str) -> str:
    """How a subject is kept."""
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()


class RevocationProblem(Exception):
    """The revocation holds in this process, and may not yet outlive it or hold elsewhere. The
    message is for the operator."""


class NotAnnounced(RevocationProblem):
    """It holds here and will be told to the other replicas, but has not been. Whoever announces
    says so in readiness, and knows when it is over."""


class Announcer(Protocol):
    """Whoever tells other machines."""

    async def announce(self, revocation: Revocation) -> None:
        """Tell them, or raise OSError."""


class Revocations:
    """The revocations that hold. `lifetime` is how long anything that they end could have lived, in
    seconds; `wall` is the wall clock. It may be wrong for a while, so what has run out by it is
    forgotten only once it has by the `monotonic` one as well."""

    def __init__(
        self,
        journal: Journal,
        *,
        lifetime: float,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._lifetime = lifetime
        self._wall = wall
        self._monotonic = monotonic
        self._latest = wall()
        """The latest time that the wall clock was seen to show."""
        self._kept_until: dict[tuple[Kind, str], float] = {}
        """By the monotonic clock."""
        self._ended: dict[tuple[Kind, str], Revocation] = {}
        self._unwritten: dict[tuple[Kind, str], Revocation] = {}
        self._writing = asyncio.Lock()
        self._subjects = False
        """Whether any subject was revoked: hashing one costs as much as all else here."""
        self.announcer: Announcer | None = None
        self.edition = 0
        """Changes with whatever has been ended."""
        self.follow()

    def __len__(self) -> int:
        return len(self._ended)

    @property
    def unwritten(self) -> int:
        """How many the journal lacks."""
        return len(self._unwritten)

    def ends_session(self, session_id: str) -> bool:
        """Whether the session was signed out."""
        return ("session", session_id) in self._ended

    def ends_token(self, fingerprint: str) -> bool:
        """Whether the token was revoked."""
        return ("token", fingerprint) in self._ended

    def ends_at(self, subject: str | None) -> float:
        """Up to when everything that was issued to a subject has ended; 0.0 if never."""
        everything = self._ended.get(("everything", ""))
        at = everything.at if everything else 0.0
        if subject is not None and self._subjects:
            own = self._ended.get(("subject", fingerprint_of_subject(subject)))
            at = max(at, own.at) if own else at
        return at

    async def end(self, kind: Kind, what: str = "", *, at: float | None = None) -> None:
        """End something. When this returns, every worker knows and no restart forgets.

        Raises `RevocationProblem`. Even then this process knows, and `write` tries again.
        """
        now = self.now()
        revocation = Revocation(kind, what, now if at is None else at, now + self._lifetime)
        self.learn(revocation)
        self._unwritten[kind, what] = self._ended[kind, what]
        try:
            await self.write()
            if self.announcer is not None:
                await self.announcer.announce(revocation)
        except JournalProblem as problem:
            raise RevocationProblem(str(problem)) from None
        except OSError:
            raise NotAnnounced("the shared tier does not answer") from None

    async def write(self) -> None:
        """Write what the journal lacks; nothing is done where it lacks nothing.

        Raises `JournalProblem`.
        """
        self._latest = max(self._latest, self._wall())
        async with self._writing:
            while self._unwritten:
                key, revocation = next(iter(self._unwritten.items()))
                if not self._is_over(revocation):
                    await asyncio.to_thread(self._journal.append, revocation.line())
                if self._unwritten[key] is revocation:  # not ended once more meanwhile
                    del self._unwritten[key]

    def now(self) -> float:
        """Unix time in seconds, by the clock that revocations go by. Where the wall clock went back
        a while ago, there are sessions that were issued later than it says: they end as well."""
        now = self._wall()
        self._latest = max(self._latest, now)
        ahead = self._latest - now
        return self._latest + LOOK_SECONDS if 0 < ahead <= CLOCK_SECONDS else now

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def learn(self, revocation: Revocation) -> None:
        """Take in a revocation from elsewhere."""
        key = (revocation.kind, revocation.what)
        known = self._ended.get(key)
        if known is None or revocation.at > known.at:
            self._ended[key] = revocation
            self.edition += 1
            left = min(max(revocation.until - self._wall(), 0.0), self._lifetime)
            self._kept_until[key] = self._monotonic() + left
            self._subjects = self._subjects or revocation.kind == "subject"

    def holding(self) -> list[Revocation]:
        """All that hold now."""
        now = self._wall()
        return [each for each in self._ended.values() if each.until > now]

    async def tidy(self) -> None:
        """Forget what has run out. Raises `JournalProblem`."""
        self.follow()
        over = [key for key, each in self._ended.items() if self._is_over(each)]
        for key in over:
            del self._ended[key], self._kept_until[key]
        if len(over) >= WORTH_A_REWRITE:
            await asyncio.to_thread(self._journal.rewrite, self._holds)

    def _holds(self, line: bytes) -> bool:
        found = revocation_of(line)
        return found is not None and not self._is_over(found)

    def _is_over(self, revocation: Revocation) -> bool:
        kept_until = self._kept_until.get((revocation.kind, revocation.what), 0.0)
        return revocation.until <= self._wall() and kept_until <= self._monotonic()

    def follow(self) -> None:
        """Take in what other workers wrote; costs nothing where they wrote nothing."""
        lines = self._journal.follow()
        if lines is None:
            return
        for line in lines:
            revocation = revocation_of(line)
            if revocation is not None:
                self.learn(revocation)
