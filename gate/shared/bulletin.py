"""Revocations on the shared server: each a value with an expiry of its own, one index of their
names, and a channel for news.

News gets lost and servers forget, so the index is read again and again: what is there and not known
here is learned, and what is held here and not there is written once more.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from gate.shared.envelope import Envelope
from gate.shared.gone import SharedGone
from gate.shared.link import PREFIX, Command, Link, milliseconds
from gate.state.revocations import Revocation, Revocations

NEWS = PREFIX + b"news"
INDEX = PREFIX + b"revocations"
_VALUE = PREFIX + b"revocation:"

MAX_VALUE_BYTES = 4096
"""More than a sealed revocation has. No more than that of a value is read."""

MAX_REVOCATIONS = 1_000_000
"""Some hundred bytes each. A server that claims to hold more is not used."""

BATCH = 200
"""Revocations at a time: opening or sealing them keeps the loop for about 4 ms."""

_T = TypeVar("_T")

CLOCKS_APART = 60.0
"""Seconds that a name outlasts its revocation: another replica's clock may be behind."""


class Bulletin:
    """What this replica and the shared server tell each other about revocations.

    `revocations` learns and is asked what holds; `clear` forgets every verdict of this process;
    `wall` is the wall clock. Every call to the server may raise `SharedGone`.
    """

    def __init__(
        self,
        envelope: Envelope,
        revocations: Revocations,
        clear: Callable[[], None],
        wall: Callable[[], float],
    ) -> None:
        self._envelope = envelope
        self._revocations = revocations
        self._clear = clear
        self._wall = wall
        self._names: dict[Revocation, bytes] = {}
        self._read: set[bytes] = set()
        self._unheard = False
        self.learned = 0
        """How many came from elsewhere."""
        self.outdated = True
        """Whether something may be there that is not known here, or the other way round."""

    async def post(self, link: Link, revocation: Revocation) -> None:
        """Tell every replica that listens, and those that will ask."""
        sealed = self._envelope.seal_revocation(revocation)
        try:
            await link.calls([*self._writing(revocation, sealed), ("PUBLISH", NEWS, sealed)])
        except SharedGone:
            self._unheard = True  # it may be written and not published
            raise

    def hear(self, message: bytes) -> None:
        """Take in a message of the channel; what is not sealed by one of us is nothing."""
        if not self._learn(message) and self._envelope.is_nudge(message):
            self.outdated = True

    async def is_gone(self, link: Link) -> bool:
        """Whether the server has nothing although something was written: it was flushed."""
        return bool(self._names) and not await link.call("EXISTS", INDEX)

    async def reload(self, link: Link) -> None:
        """Learn what the server holds, and write what it lacks."""
        self.outdated = False
        over = self._wall() - CLOCKS_APART
        await link.call("ZREMRANGEBYSCORE", INDEX, "-inf", over)
        there = await self._read_all(link)
        lacking = await self._not_in(there)
        for batch in _batches(lacking):
            writing = (self._writing(each, self._envelope.seal_revocation(each)) for each in batch)
            await link.calls(list(itertools.chain.from_iterable(writing)))
        if lacking or self._unheard:
            await link.call("PUBLISH", NEWS, self._envelope.seal_nudge())
            self._unheard = False
        self._read = there.union(map(self._name, lacking))

    async def _not_in(self, there: set[bytes]) -> list[Revocation]:
        """What is held here and has none of these names."""
        now = self._wall()
        for over in [each for each in self._names if each.until <= now]:
            del self._names[over]
        lacking: list[Revocation] = []
        for batch in _batches(self._revocations.holding()):
            lacking += [each for each in batch if self._name(each) not in there]
            await asyncio.sleep(0)  # thousands of names take their time
        return lacking

    def _name(self, revocation: Revocation) -> bytes:
        name = self._names.get(revocation)
        if name is None:
            name = self._names[revocation] = self._envelope.name(revocation)
        return name

    def _writing(self, revocation: Revocation, sealed: bytes) -> list[Command]:
        name = self._name(revocation)  # with a name it is no news when it comes back
        # the value first: a name without one would be taken for lost
        return [
            ("SET", _VALUE + name, sealed, "PX", milliseconds(revocation.until - self._wall())),
            ("ZADD", INDEX, revocation.until, name),
        ]

    async def _read_all(self, link: Link) -> set[bytes]:
        """The names in the index, with every value learned that was not read before."""
        there: set[bytes] = set()
        cursor = b"0"
        while True:
            cursor, pairs = await link.call("ZSCAN", INDEX, cursor, "COUNT", BATCH)
            names = set(pairs[::2])
            for batch in _batches(names - self._read):
                names -= await self._read_values(link, batch)
            there |= names
            if len(there) > MAX_REVOCATIONS:
                raise SharedGone("it has more revocations than can be")
            if cursor == b"0":
                return there

    async def _read_values(self, link: Link, names: list[bytes]) -> set[bytes]:
        """Learn the values of these names. What is returned had none, and is no longer named."""
        values = await link.calls(
            [("GETRANGE", _VALUE + name, 0, MAX_VALUE_BYTES - 1) for name in names]
        )
        for value in filter(None, values):
            self._learn(value)
        lost = {name for name, value in zip(names, values, strict=True) if not value}
        if lost:
            await link.call("ZREM", INDEX, *lost)
        return lost

    def _learn(self, sealed: bytes) -> bool:
        """Whether it was a revocation, known or not."""
        revocation = self._envelope.open_revocation(sealed)
        if revocation is None:
            return False
        if revocation not in self._names and revocation.until > self._wall():
            self._name(revocation)
            self._revocations.learn(revocation)
            self.learned += 1
            if revocation.kind != "session":  # verdicts know nothing of sessions
                self._clear()
        return True


def _batches(all_of_them: Iterable[_T]) -> Iterator[list[_T]]:
    waiting = iter(all_of_them)
    while batch := list(itertools.islice(waiting, BATCH)):
        yield batch
