"""Makes what a start left to be made: what is asked for at once, and everything in its turn."""

import asyncio
import ctypes
import logging
import time
from contextlib import suppress
from functools import partial

from gate.site.content import Content, Variants
from gate.site.index import Site
from gate.site.tree import TreeProblem

log = logging.getLogger(__name__)


def _give_back() -> None:
    """Let the system have what compressing needed: some MiB that this process would keep. Only the
    C library of most Linux systems knows how."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Making:
    """The making of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._asked: dict[Content, asyncio.Task[Variants]] = {}
        self._ending = False

    async def variants(self, content: Content) -> Variants:
        """The file in every coding; those who ask meanwhile wait for the same. Raises as `Content`
        does."""
        task = self._asked.get(content)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(content.variants))
            task.add_done_callback(partial(self._done, content))
            self._asked[content] = task
        return await asyncio.shield(task)

    def _done(self, content: Content, task: asyncio.Task[Variants]) -> None:
        del self._asked[content]
        if not task.cancelled():
            task.exception()  # whoever asked may have given up

    def end(self) -> None:
        """Make nothing more in its turn: the site is no longer served."""
        self._ending = True

    async def make_aside(self) -> None:
        """Make every file that is not made yet, in a thread."""
        try:
            await asyncio.to_thread(self._make_all)
        except Exception:
            log.exception("not all files could be made: each is made when it is asked for")

    def _make_all(self) -> None:
        begun, made, gone = time.monotonic(), 0, 0
        for content in self._site.contents():
            if self._ending:
                return
            if content.is_made:
                continue
            try:
                content.variants()
                made += 1
            except (OSError, TreeProblem):  # it is answered with 404, until the next build
                gone += 1
        _give_back()
        if made or gone:
            log.info(
                "%d files were read and compressed beside the serving, in %.1f s; %d have gone",
                made,
                time.monotonic() - begun,
                gone,
            )
