"""Writes lines to a file descriptor from a thread of its own, so that no pipe can stop the loop.

Lines wait in memory up to a bound; past it they are lost and counted, never waited for.
"""

import contextlib
import logging
import os
import queue
import threading

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""About 20,000 access log lines: some seconds of a busy server whose log pipe is not read."""


class LineWriter:
    """`write` never blocks. Call `close` at the end to write what still waits."""

    def __init__(self, descriptor: int, *, max_waiting: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_waiting = max_waiting
        self._waiting = 0
        self._lock = threading.Lock()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.lost = 0
        """Lines that were not written."""
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, lines: bytes, count: int = 1) -> None:
        """Write whole lines, `count` of them, soon and in order."""
        with self._lock:
            if self._waiting + len(lines) > self._max_waiting:
                self.lost += count
                return
            self._waiting += len(lines)
        self._lines.put(lines)

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for at most `timeout` seconds: a stuck pipe does not keep us."""
        self._lines.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (lines := self._lines.get()) is not None:
            with contextlib.suppress(OSError):
                _write_all(self._descriptor, lines)
            with self._lock:
                self._waiting -= len(lines)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class WriterHandler(logging.Handler):
    """Python's logging through a `LineWriter`."""

    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Format and hand over; a record that cannot be formatted is dropped."""
        with contextlib.suppress(Exception):
            text = self.format(record) + "\n"
            self._writer.write(text.encode("utf-8", "backslashreplace"))
