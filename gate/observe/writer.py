"""Writes lines to a file descriptor from a thread of its own, so that no pipe can stop the loop.

Lines wait in memory up to a bound; past it they are lost and counted, never waited for. What
Python's logging says goes the same way, and is kept from quoting requests.
"""

import contextlib
import logging
import os
import queue
import select
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeAlias

from aiohttp.http_exceptions import HttpProcessingError

from gate.observe.floods import Floods

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""About 20,000 access log lines: some seconds of a busy server whose log pipe is not read."""

_AT_ONCE = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
_MUCH = 1024 * 1024

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class LineWriter:
    """`write` never blocks. Call `close` at the end to write what still waits.

    `alone` says that nobody else writes into the same pipe, so that much may be written at once:
    every write costs the loop more than some lines. `tell` hears once that lines begin to be lost,
    and once that they are taken again; it is called from any thread and must not block.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        alone: bool = False,
        max_waiting: int = MAX_WAITING_BYTES,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._descriptor = descriptor
        self._at_once = _MUCH if alone else _AT_ONCE
        self._max_waiting = max_waiting
        self._tell = tell
        self._lock = threading.Lock()
        self._waiting_bytes = self._waiting_lines = 0
        self._lines: queue.SimpleQueue[tuple[bytes, int] | None] = queue.SimpleQueue()
        self.lost = 0
        """Lines that could not be written."""
        self._lost_before: int | None = None  # while lines are being lost
        self._torn = False
        _append_only(descriptor)
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, lines: bytes, count: int = 1) -> None:
        """Write whole lines, `count` of them, soon and in order."""
        with self._lock:
            room = self._waiting_bytes + len(lines) <= self._max_waiting
            if room:
                self._waiting_bytes += len(lines)
                self._waiting_lines += count
        if room:
            self._lines.put((lines, count))
        else:
            self._lose(count, "nobody reads them fast enough")

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for at most `timeout` seconds: a stuck pipe does not keep us."""
        self._lines.put(None)
        self._thread.join(timeout)
        with self._lock:
            self.lost += self._waiting_lines
            self._waiting_lines = 0

    def _run(self) -> None:
        while (entry := self._lines.get()) is not None:
            lines, count = entry
            whole, problem = self._put(lines)
            with self._lock:
                self._waiting_bytes -= len(lines)
                self._waiting_lines -= count
            if problem is None:
                self._taken()
            else:
                self._lose(max(count - whole, 0), problem)

    def _put(self, lines: bytes) -> tuple[int, str | None]:
        """How many whole lines went out, and why not all of them."""
        whole = 0
        for piece in pieces(lines, self._at_once):
            # what was broken off in the middle of a line must not run into the next one
            data = b"\n" + piece if self._torn else piece
            written, problem = _write_all(self._descriptor, data)
            if written:
                self._torn = data[written - 1 : written] != b"\n"
            if problem is not None:
                return whole + data.count(b"\n", len(data) - len(piece), max(written, 0)), problem
            whole += piece.count(b"\n")
        return whole, None

    def _lose(self, count: int, why: str) -> None:
        with self._lock:
            first = self._lost_before is None
            if first:
                self._lost_before = self.lost
            self.lost += count
        if first:
            self._tell(f"lines are being lost: {why}")

    def _taken(self) -> None:
        """Lines are written: it is over once no more of them wait than half of what may."""
        with self._lock:
            before = self._lost_before
            if before is None or self._waiting_bytes > self._max_waiting / 2:
                return
            self._lost_before = None
            lost = self.lost - before
        self._tell(f"lines are written again; {lost} were lost")


def _append_only(descriptor: int) -> None:
    """Let a file be cut short while it is written to, as logrotate's copytruncate does: without
    this the next line would stand behind a hole as long as the old log."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)


def pieces(lines: bytes, at_once: int = _AT_ONCE) -> Iterator[bytes]:
    """Whole lines, as many as a pipe takes at once: workers write into the same one, and longer
    writes may come out in between each other (POSIX, `write`). `at_once` bytes are taken for
    that."""
    begin = 0
    while begin < len(lines):
        end = min(len(lines), begin + at_once)
        if end < len(lines):
            # a line that is longer than that goes alone, and may be torn
            end = lines.rfind(b"\n", begin, end) + 1 or lines.find(b"\n", end) + 1 or len(lines)
        yield lines[begin:end]
        begin = end


def _write_all(descriptor: int, data: bytes) -> tuple[int, str | None]:
    """How many bytes were written, and why not all of them: perhaps nobody reads any more, or the
    disk is full."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # whoever started us made the pipe non-blocking
            select.select((), (descriptor,), ())
        except OSError as error:
            return len(data) - len(view), (error.strerror or str(error)).lower()
    return len(data), None


class WriterHandler(logging.Handler):
    """Python's logging through a `LineWriter`."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer
        self.floods = Floods(self.handle)
        self.addFilter(_is_news)
        self.addFilter(self.floods)
        self.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Format and hand over; a record that cannot be formatted is dropped."""
        with contextlib.suppress(Exception):
            text = self.format(record) + "\n"
            self._writer.write(text.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Say what has not been said yet of a flood."""
        self.floods.close()
        super().close()

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._writer.lost


def _is_news(record: logging.LogRecord) -> bool:
    """Not what aiohttp's parser refused: the access log has a line for each."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class _Formatter(logging.Formatter):
    """Exceptions by type and place. Their text may quote a request, and with it a token, so it is
    told only where the operating system wrote it."""

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        return "\n".join(_told(error) for error in _causes(ei[1]))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those it came from, the first one first."""
    if error is not None:
        cause = None if error.__suppress_context__ else error.__context__
        yield from _causes(error.__cause__ or cause)
        yield error


def _told(error: BaseException) -> str:
    lines = traceback.format_tb(error.__traceback__)
    text = f": {error}" if isinstance(error, OSError) else ""
    return "".join([*lines, f"{type(error).__qualname__}{text}"])


@dataclass(frozen=True, slots=True)
class LogStatistics:
    """Counts since the start."""

    lost: int
    """Lines for standard error that could not be written."""
    summarised: int
    """Lines of floods, of which only their number was told."""


def log_statistics() -> LogStatistics:
    """Of the log that goes to standard error, if it does."""
    handlers = [each for each in logging.getLogger().handlers if isinstance(each, WriterHandler)]
    return LogStatistics(
        lost=sum(each.lost for each in handlers),
        summarised=sum(each.floods.summarised for each in handlers),
    )


@contextlib.contextmanager
def logging_to_standard_error(level: str) -> Iterator[None]:
    """Send the log to standard error through a writer that never blocks."""
    writer = LineWriter(STANDARD_ERROR, tell=partial(log.warning, "standard error: %s"))
    handler = WriterHandler(writer)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        writer.close()


def _same(one: int, other: int) -> bool:
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:
        return False


@contextlib.contextmanager
def lines_to_standard_output(*, workers: int = 1) -> Iterator[LineWriter]:
    """A writer for the access log, which `workers` write; how much of it was lost is told at the
    end."""
    alone = workers == 1 and not _same(STANDARD_OUTPUT, STANDARD_ERROR)
    writer = LineWriter(
        STANDARD_OUTPUT, alone=alone, tell=partial(log.warning, "standard output: %s")
    )
    try:
        yield writer
    finally:
        writer.close()
        if writer.lost:
            log.warning("%d lines for standard output could not be written", writer.lost)
