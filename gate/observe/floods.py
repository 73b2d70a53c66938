"""Keeps floods out of the log: of one kind at most `LINES` a second are written, and then how many
more there were. So a thousand bad cookies, or a process out of file descriptors, fill no disk.
"""

import logging
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

LINES = 9
"""Of one kind within a second; the summary is the tenth."""

SECOND = 1.0

MAX_KINDS = 200
"""Kinds that are told apart within a second; all that come after them are one kind."""

_CHANGING = re.compile(r"0x[0-9a-f]+|\d+")
_LONGEST = 200


@dataclass(slots=True)
class _Kind:
    name: str
    level: int
    what: str
    lines: int = 0
    more: int = 0


def _later(act: Callable[[], None]) -> None:
    timer = threading.Timer(SECOND, act)
    timer.daemon = True
    timer.start()


class Floods(logging.Filter):
    """A filter for a handler; `tell` takes the summaries, past this filter. `clock` is monotonic,
    `later` calls back about a second later, from any thread."""

    def __init__(
        self,
        tell: Callable[[logging.LogRecord], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[Callable[[], None]], None] = _later,
    ) -> None:
        super().__init__()
        self._tell = tell
        self._clock = clock
        self._later = later
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, int, str], _Kind] = {}
        self._until = 0.0
        self._waiting = False
        self.summarised = 0
        """Lines of which only their number was told."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        if isinstance(record, _Summary):
            return True
        with self._lock:
            over = self._turn(self._clock())
            kind = self._kind(record)
            kind.lines += 1
            fits = kind.lines <= LINES
            wait = not fits and not self._waiting
            if not fits:
                kind.more += 1
                self.summarised += 1
                self._waiting = True
        self._sum_up(over)
        if wait:
            self._later(self._after_a_second)
        return fits

    def close(self) -> None:
        """Say what is left to say."""
        with self._lock:
            over = self._turn(math.inf)
        self._sum_up(over)

    def _after_a_second(self) -> None:
        with self._lock:
            over = self._turn(self._clock())
            self._waiting = any(kind.more for kind in self._kinds.values())
            wait = self._waiting
        self._sum_up(over)
        if wait:
            self._later(self._after_a_second)

    def _turn(self, now: float) -> list[_Kind]:
        """Begin a new second where the last is over; what of it is left to say."""
        if now < self._until:
            return []
        over = [kind for kind in self._kinds.values() if kind.more]
        self._kinds, self._until = {}, now + SECOND
        return over

    def _kind(self, record: logging.LogRecord) -> _Kind:
        # messages that come ready-made, as asyncio's, differ in numbers and in what stands below
        line = str(record.msg).partition("\n")[0][:_LONGEST]
        key = (record.name, record.levelno, _CHANGING.sub("#", line))
        if key not in self._kinds and len(self._kinds) >= MAX_KINDS:
            key = ("", logging.WARNING, "")
        found = self._kinds.get(key)
        if found is None:
            found = self._kinds[key] = _Kind(*key)
        return found

    def _sum_up(self, kinds: list[_Kind]) -> None:
        for kind in kinds:
            self._tell(_Summary(kind))


class _Summary(logging.LogRecord):
    def __init__(self, kind: _Kind) -> None:
        what = kind.what or "of many kinds"
        text = "%d more within a second: %s"
        super().__init__(kind.name or __name__, kind.level, "", 0, text, (kind.more, what), None)
