"""The shared tier: verdicts that replicas share, and the life of the link that carries them.

It is there to save questions and to spread revocations. Without it every replica works from its own
memory and the verify API; before a new link is used, what was revoked meanwhile is learned and
every remembered verdict dropped.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gate.cache import Verdict
from gate.readiness import Readiness
from gate.shared.bulletin import NEWS, Bulletin
from gate.shared.envelope import Envelope
from gate.shared.gone import SharedGone
from gate.shared.link import MAX_CONNECTIONS, PACE, Command, Link, Linker, Pace
from gate.shared.verdicts import SharedVerdicts
from gate.state.revocations import Revocation, Revocations

log = logging.getLogger(__name__)

STRIKES = 3
"""Calls in a row that failed, with a look between them that found nothing: it is too slow."""

_READINESS = "shared"


@dataclass(frozen=True, slots=True)
class SharedStatistics:
    """Counts since the start; `up` is whether the server is in use now."""

    up: bool
    hits: int
    misses: int
    errors: int
    """Calls for requests that got no good answer in time."""
    learned: int
    """Revocations that came from elsewhere."""


class SharedTier:
    """The server of `[cache] shared_url`: a `Tier` of access.py and an `Announcer` of
    revocations.py. Use it as an async context manager.

    `keys` (32 bytes each, newest first) seal; `ttl` and `refresh_ahead` are those of `[cache]`;
    `clear` forgets every verdict of this process; `wall` is the wall clock. Raises ValueError where
    the URL has a problem.
    """

    def __init__(
        self,
        url: str,
        *,
        keys: Sequence[bytes],
        ttl: float,
        refresh_ahead: float,
        revocations: Revocations,
        clear: Callable[[], None],
        readiness: Readiness,
        wall: Callable[[], float] = time.time,
        max_connections: int = MAX_CONNECTIONS,
        pace: Pace = PACE,
    ) -> None:
        self._linker = Linker(url, pace, max_connections)
        envelope = Envelope(keys)
        self._verdicts = SharedVerdicts(envelope, ttl, refresh_ahead, wall)
        self._bulletin = Bulletin(envelope, revocations, clear, wall)
        self._clear = clear
        self._readiness = readiness
        self._pace = pace
        self._link: Link | None = None
        self._suspected = False
        self._strikes = 0
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._hits = self._misses = self._errors = 0
        self.problem: str | None = None
        """Why the server is not in use, in a few words; None while it is."""

    async def __aenter__(self) -> "SharedTier":
        """Wait until the revocations are read, or for some seconds where they cannot be."""
        self._readiness.fail(_READINESS, "what was revoked elsewhere is not known yet")
        self._task = asyncio.create_task(self._stay_linked())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3 * self._pace.connect):
                await self._tried.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def statistics(self) -> SharedStatistics:
        """For whoever keeps metrics."""
        return SharedStatistics(
            up=self._link is not None,
            hits=self._hits,
            misses=self._misses,
            errors=self._errors,
            learned=self._bulletin.learned,
        )

    async def get(self, key: bytes) -> Verdict | None:
        """A fresh yes that some replica got, with the time when it asked. Raises nothing; takes
        `Pace.call` at most, and no time while the server is not in use."""
        sealed = await self._ask(self._verdicts.reading(key))
        if sealed is None:
            return None
        verdict = self._verdicts.usable(key, sealed)
        self._hits += verdict is not None
        self._misses += verdict is None
        return verdict

    async def put(self, key: bytes, verdict: Verdict) -> None:
        """Let the others know. Raises nothing, takes no longer than `get`."""
        command = self._verdicts.writing(key, verdict)
        if command is not None:
            await self._ask(command)

    async def announce(self, revocation: Revocation) -> None:
        """Tell the other replicas. Raises `SharedGone`, an OSError, where they may not know; they
        will be told when the server can be reached, and until then readiness says so."""
        link = self._link
        try:
            if link is None:
                raise SharedGone(self.problem or "no link yet")
            await self._bulletin.post(link, revocation)
        except SharedGone as problem:
            if link is not None:
                log.warning("a revocation could not be given to other replicas: %s", problem)
            self._readiness.fail(_READINESS, "a revocation waits for the shared server")
            self._bulletin.outdated = True
            self._suspect()
            raise

    async def _ask(self, command: Command) -> bytes | None:
        """A call for a request: None where it fails, at once while the server is suspected."""
        if self._link is None or self._suspected:
            return None
        try:
            answer: bytes = (await self._link.calls([command], self._pace.call))[0]
        except SharedGone:
            self._errors += 1
            self._strikes += not self._suspected
            self._suspect()
            return None
        self._strikes = 0
        return answer

    def _suspect(self) -> None:
        """No request calls again before a look has shown that all is well."""
        self._suspected = True
        self._wake.set()

    async def _stay_linked(self) -> None:
        pause, loop = self._pace.retry_first, asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                async with self._linker.linked(NEWS) as link:
                    await self._attend(link)
            except Exception as error:  # a fault of ours, too, must not leave a link unattended
                self._note_gone(error)
            if loop.time() - begun > self._pace.reload:
                pause = self._pace.retry_first
            await asyncio.sleep(pause * random.uniform(1.0, 1.2))  # noqa: S311 - spreads load
            pause = min(2 * pause, self._pace.retry_last)

    async def _attend(self, link: Link) -> None:
        """Bring a link into use, and look after it until it is lost."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(link))
                await link.ping()
                await self._reload(link)
                await link.probe(self._pace.call)  # no slower than a request may wait
                self._begin(link)
                await self._keep(link)
        finally:
            self._link = None

    async def _listen(self, link: Link) -> None:
        while True:
            self._bulletin.hear(await link.message())

    def _begin(self, link: Link) -> None:
        """Nothing is awaited here: with the first call on the new link the verdicts are gone."""
        self._clear()
        self._link, self._suspected, self._strikes = link, False, 0
        if self.problem is not None:
            log.info("the shared server is back")
        self.problem = None
        self._tried.set()

    async def _keep(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._pace.reload
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.beat):
                    await self._wake.wait()
            self._wake.clear()
            await self._look(link)
            if self._strikes >= STRIKES:
                raise SharedGone("too slow")
            if self._bulletin.outdated or loop.time() > due or await self._bulletin.is_gone(link):
                await self._reload(link)
                due = loop.time() + self._pace.reload
            self._suspected = self._wake.is_set()

    async def _look(self, link: Link) -> None:
        """Raises `SharedGone` if it cannot be used. Tries twice: a link that is given up costs
        every verdict, and it may be us who were busy."""
        with contextlib.suppress(SharedGone):
            await link.ping()
            await link.probe(self._pace.connect)
            return
        self._suspected = True
        await link.ping()
        await link.probe(self._pace.connect)

    async def _reload(self, link: Link) -> None:
        await self._bulletin.reload(link)
        if not self._bulletin.outdated:
            self._readiness.clear(_READINESS)

    def _note_gone(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        known = isinstance(error, SharedGone)
        reason = str(error) if known else type(error).__name__
        if self.problem is None:
            log.warning(
                "the shared server is gone (%s): working from memory and the verify API",
                reason,
                exc_info=None if known else error,
            )
        self.problem = reason
        self._tried.set()
