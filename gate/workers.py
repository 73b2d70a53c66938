"""Several processes that answer requests, and the one that looks after them.

The first process reads the site, opens keys and sockets, and forks: workers share the site's memory
and the listening sockets. A worker that dies is replaced; what it had to know of others lies in
`state_dir`. The first process answers nothing itself, and so it cannot be slowed down or stopped by
a request.
"""

import asyncio
import logging
import mmap
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)
_HEARD = (
    (*STOPPING, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1)
    if sys.platform != "win32"
    else STOPPING
)

WAITING: Final = {signal.SIGHUP, signal.SIGUSR1} if sys.platform != "win32" else set()
"""Signals that a worker takes from when it serves: `heard` lets them in."""

SHORT_LIFE = 5.0
"""Seconds. Whoever lives no longer is replaced after a pause, which doubles up to the longest."""

LONGEST_PAUSE = 10.0

MARGIN = 5.0
"""Seconds beyond their own time that workers may take to stop before they are killed."""

MEETING_SECONDS = 10.0
"""How long a worker waits for the others before it serves a new build without them."""


class Meeting:
    """Memory that workers share, to swap a build at one moment: each writes what it is ready to
    serve, and waits until all are."""

    _SLOT = 8
    _ABSENT = b"\xff" * _SLOT

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, count * self._SLOT)
        self._memory[:] = self._ABSENT * count

    def leave(self, number: int) -> None:
        """Nobody need wait for a worker that has died."""
        self._memory[self._place(number)] = self._ABSENT

    def seat(self, number: int) -> Callable[[bytes], Awaitable[None]]:
        """What the worker of this number waits by."""

        async def meet(state: bytes) -> None:
            self._memory[self._place(number)] = state[: self._SLOT]
            end = time.monotonic() + MEETING_SECONDS
            # processes have no event in common
            while not self._all_at(state[: self._SLOT]) and time.monotonic() < end:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

        return meet

    def _all_at(self, state: bytes) -> bool:
        size = self._SLOT
        seats = (self._memory[at : at + size] for at in range(0, len(self._memory), size))
        return all(seat in (state, self._ABSENT) for seat in seats)

    def _place(self, number: int) -> slice:
        return slice(number * self._SLOT, (number + 1) * self._SLOT)


@dataclass(slots=True)
class _Worker:
    """One that runs, or that is to be started at a moment of the monotonic clock."""

    pid: int = 0
    begun: float = 0.0
    due: float = 0.0
    pause: float = 0.0


class Workers:
    """Starts `count` processes that each do `work`, given their number and a descriptor that ends
    when the first process does. `stop` is how long they may take to stop, in seconds; `leave` is
    told the number of each that ended; `closing` is called when no more will be started."""

    def __init__(
        self,
        count: int,
        work: Callable[[int, int], None],
        *,
        stop: float,
        leave: Callable[[int], None] = lambda number: None,
        closing: Callable[[], None] = lambda: None,
    ) -> None:
        self._workers = [_Worker() for _ in range(count)]
        self._work = work
        self._stop_seconds = stop
        self._leave = leave
        self._closing = closing
        self._stopping: float | None = None
        self._leash = os.pipe()

    def run(self) -> None:
        """Until a signal to stop, and then until all have stopped. A second one ends all at once,
        this process too."""
        with _signals() as self._heard:
            self._begin_due()
            while self._stopping is None or any(worker.pid for worker in self._workers):
                for number in self._wait():
                    self._hear(number)
                self._reap()
                self._begin_due()

    def _wait(self) -> bytes:
        """The signals that came, or none in time for what is due."""
        moments = [self._stopping] if self._stopping is not None else [
            worker.due for worker in self._workers if not worker.pid
        ]  # fmt: skip
        left = max(0.0, min(moments) - time.monotonic()) if moments else None
        ready, _, _ = select.select([self._heard], [], [], left)
        return os.read(self._heard, 4096) if ready else b""

    def _hear(self, number: int) -> None:
        if number in STOPPING:
            if self._stopping is not None:
                self._send(signal.SIGKILL)
                _end_by(number)
            self._stopping = time.monotonic() + self._stop_seconds + MARGIN
            self._closing()
            self._send(signal.SIGTERM)
        elif sys.platform != "win32" and number in (signal.SIGHUP, signal.SIGUSR1):
            self._send(number)

    def _send(self, which: int) -> None:
        for worker in self._workers:
            if worker.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, which)

    def _reap(self) -> None:
        for number, worker in enumerate(self._workers):
            if worker.pid and (ended := _ended(worker.pid)) is not None:
                self._leave(number)
                if self._stopping is None:
                    log.warning("worker %d %s: another one takes its place", worker.pid, ended)
                    self._plan(worker)
                worker.pid = 0

    def _plan(self, worker: _Worker) -> None:
        now = time.monotonic()
        short = now - worker.begun < SHORT_LIFE
        worker.pause = min(LONGEST_PAUSE, max(0.1, worker.pause * 2)) if short else 0.0
        worker.due = now + worker.pause

    def _begin_due(self) -> None:
        now = time.monotonic()
        if self._stopping is not None:
            if now >= self._stopping:
                self._send(signal.SIGKILL)
                self._stopping = now + MARGIN
            return
        for number, worker in enumerate(self._workers):
            if not worker.pid and worker.due <= now:
                worker.pid, worker.begun = self._fork(number), now

    def _fork(self, number: int) -> int:
        # a signal that comes while the worker still starts waits until it can be heard
        signal.pthread_sigmask(signal.SIG_BLOCK, WAITING)
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING)
            return pid
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for which in _HEARD:
                signal.signal(which, signal.SIG_DFL)
            os.close(self._leash[1])  # else it would not end with the first process
            self._work(number, self._leash[0])
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def heard() -> None:
    """Called by a worker that listens for the signals of `WAITING` by now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING)


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that has a byte, its number, for every signal that came."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {which: signal.signal(which, lambda *_: None) for which in _HEARD}
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(-1)
        for which, handler in before.items():
            signal.signal(which, handler)
        os.close(reading)
        os.close(writing)


def _ended(pid: int) -> str | None:
    """How a process ended, None where it has not."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return "is gone"
    if not found:
        return None
    code = os.waitstatus_to_exitcode(status)
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


def _end_by(which: int) -> None:
    signal.signal(which, signal.SIG_DFL)
    os.kill(os.getpid(), which)
    os._exit(128 + which)  # a container's first process is not killed by its own signals
