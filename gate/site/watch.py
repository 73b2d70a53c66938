"""Notices a rebuilt site, and serves it once it is whole.

A build counts when its folder has been still for two seconds and every local file that its pages
name exists. Until then, and where it is broken, the one before is served on.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event

from gate.readiness import Readiness
from gate.site.current import CurrentSite
from gate.site.index import Site
from gate.site.record import SiteRecord
from gate.site.references import cut_off, missing
from gate.site.tree import TreeProblem, signature

log = logging.getLogger(__name__)

PERIOD = 1.0
"""Seconds between two looks at the folder."""

STILL = 2.0
"""Seconds without a change after which a generator is taken to have ended."""

PATIENCE = 20
"""A look may take a share of one in so many of the time: folders with very many files are looked at
less often."""

CAUSE = "site"
"""The cause in readiness while a build is refused."""

Read = Callable[[Site, Callable[[], bool]], Site]
"""Reads the site anew, given the one before and a question whether to go on."""


Meet = Callable[[bytes], Awaitable[None]]
"""Waits until the other workers are ready to serve the same state of the folder."""


async def alone(state: bytes) -> None:
    """There is no other worker to wait for."""


class Watcher:
    """Looks after one folder. `read` reads it anew, and `prefix` is what absolute links of its
    pages start with. `meet` waits for the other workers, so that all swap at one moment."""

    def __init__(
        self,
        current: CurrentSite,
        root: Path,
        read: Read,
        readiness: Readiness,
        *,
        prefix: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        meet: Meet = alone,
        record: SiteRecord | None = None,
    ) -> None:
        self._record = record or SiteRecord(current.site, wall)
        self._current = current
        self._root = root
        self._read = read
        self._readiness = readiness
        self._prefix = prefix
        self._clock = clock
        self._wall = wall
        self._meet = meet
        self._seen = current.site.state
        self._since = clock()
        self._refused: bytes | None = None
        self._spent = 0.0
        self._ending = Event()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(max(PERIOD, PATIENCE * self._spent))
        finally:
            self._ending.set()

    async def look(self) -> None:
        """See whether there is a new build, and serve it where it is whole."""
        begun = self._clock()
        try:
            state = await asyncio.to_thread(signature, self._root)
        except TreeProblem:  # between two builds there may be no folder at all
            state = b""
        self._spent = self._clock() - begun
        if state == self._current.site.state:
            self._seen = state
            self._settle()
        elif state != self._seen:
            self._seen, self._since = state, self._clock()
        elif self._clock() - self._since >= STILL and state != self._refused:
            await self._take(state)

    async def force(self) -> None:
        """Serve the folder as it is now, dead links and all. Where it cannot be read at all, the
        build before is served on."""
        await self._take(b"", complete=False)

    async def _take(self, state: bytes, *, complete: bool = True) -> None:
        before = self._current.site
        try:
            site = await asyncio.to_thread(self._read_whole, before, complete)
            build = await self._current.prepared(site)
            if await asyncio.to_thread(signature, self._root) != site.state:
                return  # the generator went on; it will be still another time
        except TreeProblem as problem:
            self._refuse(state, str(problem))
            return
        await self._meet(site.state)
        await self._current.swap(build, now=self._wall())
        self._record.loaded(site)
        self._seen = site.state
        self._settle()
        log.info("serving a new build of %s: %d paths", site.root, len(site))

    def _read_whole(self, before: Site, complete: bool) -> Site:
        """Read the folder. Raises `TreeProblem`, also for what is half-written."""
        site = self._read(before, self._go_on)
        if not complete:
            return site
        if page := cut_off(site, before):
            raise TreeProblem(f"{page} is cut off in the middle")
        dead = missing(site, before, prefix=self._prefix, go_on=self._go_on)
        if dead:  # what was dead in the build before is no sign of a half-written one
            known = missing(before, prefix=self._prefix, go_on=self._go_on)
            dead = {path: page for path, page in dead.items() if path not in known}
        if not self._go_on():
            raise TreeProblem("stopped before all was read")
        if dead:
            path, page = next(iter(dead.items()))
            more = f", and {len(dead) - 1} more are missing" if len(dead) > 1 else ""
            raise TreeProblem(f"{page} names {path}, which is not there{more}")
        return site

    def _go_on(self) -> bool:
        return not self._ending.is_set()

    def _refuse(self, state: bytes, why: str) -> None:
        if self._ending.is_set():
            return
        self._refused = state
        self._current.refuse()
        self._record.refused(why)
        self._readiness.note(CAUSE, "a rebuilt site is broken, and the one before is served")
        log.warning("the rebuilt site is not served, the one before is: %s", why)

    def _settle(self) -> None:
        self._refused = None
        self._readiness.clear(CAUSE)
