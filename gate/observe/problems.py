"""The last problems, for the status page: answers that failed, and what the log warned of."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

KEPT = 30
"""Of either kind: a flood of one leaves the other in sight."""

_LONGEST = 300
_OURS = "gate."


class Problem(NamedTuple):
    """What went wrong. The texts come from the gate, apart from the path."""

    time: float
    """Unix time in seconds."""
    what: str
    path: str = ""
    request_id: str = ""


class Problems(logging.Handler):
    """Keeps them; as a handler it hears the log."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(logging.WARNING)
        self._wall = clock
        self._answers: deque[Problem] = deque(maxlen=KEPT)
        self._said: deque[Problem] = deque(maxlen=KEPT)

    def answered(self, status: int, outcome: str, path: str, request_id: str) -> None:
        """A request was answered with a failure."""
        what = f"{status} {outcome}"
        self._answers.append(Problem(self._wall(), what, path[:_LONGEST], request_id))

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning of the gate's own. Of others only that there was one: nobody knows what
        they quote."""
        if record.name.startswith(_OURS):
            try:
                what = record.getMessage()
            except (TypeError, ValueError):
                return
        else:
            what = f"{record.name}: {record.levelname.lower()}; standard error has the text"
        self._said.append(Problem(self._wall(), what[:_LONGEST]))

    def last(self) -> list[Problem]:
        """The newest first."""
        self.acquire()  # other threads log as well
        try:
            said = [*self._said]
        finally:
            self.release()
        return newest([[*self._answers, *said]])


def newest(many: Iterable[Iterable[Problem]]) -> list[Problem]:
    """Those of several workers, the newest first, no more than one keeps."""
    every = [problem for each in many for problem in each]
    return sorted(every, key=lambda problem: problem.time, reverse=True)[: 2 * KEPT]
