"""An append-only file of lines that several processes share and follow at almost no cost.

The file begins with eight bytes that count the valid bytes behind them. They are mapped into
memory, so that seeing whether anything is new costs no system call, and they are written last, so
that a line torn by a crash does not exist. Whoever writes a new file over an old one (to leave out
what has run out) marks the old one as moved first, so that its readers follow.
"""

import contextlib
import mmap
import os
import secrets
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_HEADER = struct.Struct("<Q")
_MOVED = 2**64 - 1


class JournalProblem(Exception):
    """The file cannot be read or written. The message says which and why."""


class Journal:
    """Lines of bytes without line breaks. `follow` is cheap; `append` waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self._told = b""
        self._open()

    def follow(self) -> list[bytes] | None:
        """The lines that were added since the last call; None when there are none."""
        told = self._header[: _HEADER.size]
        if told == self._told:
            return None
        (valid,) = _HEADER.unpack(told)
        if valid == self._seen:
            self._told = told
            return None
        if valid == _MOVED:
            self.close()
            self._open()
            return self.follow()
        end = _HEADER.size + valid
        with mmap.mmap(self._file.fileno(), end, access=mmap.ACCESS_READ) as lines:
            added = lines[_HEADER.size + self._seen : end]
        self._seen, self._told = valid, told
        return added.splitlines()

    def append(self, line: bytes) -> None:
        """Add a line; when this returns it is on the disk and every process can see it.

        Raises `JournalProblem`. Blocks: call it from a thread.
        """
        try:
            with self._locked() as file:
                end = _HEADER.size + _valid(file)
                _put(file, end, line + b"\n")
                _put(file, 0, _HEADER.pack(end - _HEADER.size + len(line) + 1))
        except OSError as error:
            raise JournalProblem(f"{self._path} cannot be written: {error.strerror}") from None

    def rewrite(self, keep: Callable[[bytes], bool]) -> None:
        """Leave out the lines that `keep` refuses. Raises `JournalProblem`; blocks."""
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            with self._locked() as old:
                lines = old.read(_valid(old)).splitlines()
                _write_new(temporary, (line for line in lines if keep(line)))
                os.replace(temporary, self._path)
                _put(old, 0, _HEADER.pack(_MOVED))
        except OSError as error:
            raise JournalProblem(f"{self._path} cannot be written: {error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def close(self) -> None:
        """Let go of the file."""
        self._header.close()
        self._file.close()

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with self._locked() as file:
                if file.seek(0, os.SEEK_END) < _HEADER.size:
                    _put(file, 0, _HEADER.pack(0))
            self._file = FileIO(self._path, "r")
            self._header = mmap.mmap(self._file.fileno(), _HEADER.size, access=mmap.ACCESS_READ)
        except OSError as error:
            raise JournalProblem(f"{self._path} cannot be written: {error.strerror}") from None
        self._seen, self._told = 0, b""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[FileIO]:
        """The file that has the name now, locked: not one that was moved away."""
        while True:
            with FileIO(self._path, "r+") as file, _lock(file):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(self._path)):
                    yield file
                    return


@contextlib.contextmanager
def _lock(file: FileIO) -> Iterator[None]:
    if sys.platform == "win32":  # one process at a time there
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)  # closing the file unlocks it
    yield


def _valid(file: FileIO) -> int:
    """The count of valid bytes; the file then stands behind it."""
    file.seek(0)
    (valid,) = _HEADER.unpack(file.read(_HEADER.size))
    return int(valid)


def _put(file: FileIO, place: int, data: bytes) -> None:
    file.seek(place)
    file.write(data)
    os.fsync(file.fileno())


def _write_new(path: Path, lines: Iterable[bytes]) -> None:
    body = b"".join(line + b"\n" for line in lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with FileIO(descriptor, "w") as file:
        _put(file, 0, _HEADER.pack(len(body)) + body)
