"""Writes lines to a file descriptor from a thread of its own, so that no pipe can stop the loop.

Lines wait in memory up to a bound; past it they are lost and counted, never waited for. What
Python's logging says goes the same way, and is kept from quoting requests.
"""

import contextlib
import logging
import os
import queue
import select
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import TypeAlias

from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""About 20,000 access log lines: some seconds of a busy server whose log pipe is not read."""

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class LineWriter:
    """`write` never blocks. Call `close` at the end to write what still waits."""

    def __init__(self, descriptor: int, *, max_waiting: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._waiting_bytes = self._waiting_lines = 0
        self._lines: queue.SimpleQueue[tuple[bytes, int] | None] = queue.SimpleQueue()
        self.lost = 0
        """Lines that could not be written."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, lines: bytes, count: int = 1) -> None:
        """Write whole lines, `count` of them, soon and in order."""
        with self._lock:
            if self._waiting_bytes + len(lines) > self._max_waiting:
                self.lost += count
                return
            self._waiting_bytes += len(lines)
            self._waiting_lines += count
        self._lines.put((lines, count))

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
            written = _write_all(self._descriptor, lines)
            with self._lock:
                self._waiting_bytes -= len(lines)
                self._waiting_lines -= count
                self.lost += 0 if written else count


def _write_all(descriptor: int, data: bytes) -> bool:
    """Whether it could be: perhaps nobody reads any more, or the disk is full."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # whoever started us made the pipe non-blocking
            select.select((), (descriptor,), ())
        except OSError:
            return False
    return True


class WriterHandler(logging.Handler):
    """Python's logging through a `LineWriter`."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer
        self.addFilter(_is_news)
        self.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Format and hand over; a record that cannot be formatted is dropped."""
        with contextlib.suppress(Exception):
            text = self.format(record) + "\n"
            self._writer.write(text.encode("utf-8", "backslashreplace"))


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


@contextlib.contextmanager
def logging_to_standard_error(level: str) -> Iterator[None]:
    """Send the log to standard error through a writer that never blocks."""
    writer = LineWriter(STANDARD_ERROR)
    handler = WriterHandler(writer)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        writer.close()


@contextlib.contextmanager
def lines_to_standard_output() -> Iterator[LineWriter]:
    """A writer for the access log; how much of it was lost is told at the end."""
    writer = LineWriter(STANDARD_OUTPUT)
    try:
        yield writer
    finally:
        writer.close()
        if writer.lost:
            log.warning("%d lines for standard output could not be written", writer.lost)
