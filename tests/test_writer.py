"""Lines arrive whole and in order, or are lost and counted; nobody ever waits for a pipe."""

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp.http_exceptions import BadHttpMessage, TransferEncodingError

from gate.observe.writer import LineWriter, WriterHandler, pieces

PIPE_BYTES = 65536
"""What Linux keeps of a pipe that nobody reads (pipe(7)), unless told otherwise."""


class Pipe(SimpleNamespace):
    """A pipe that is read when the test says so."""

    reader: int
    writer: int

    def read_all(self) -> bytes:
        """Everything to the end; closes our own writing end first."""
        os.close(self.writer)
        with open(self.reader, "rb", closefd=False) as file:
            return file.read()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    yield Pipe(reader=reader, writer=writer)
    for descriptor in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def fill(pipe: Pipe) -> int:
    """Fill a pipe so that the next write would block; how many bytes it took."""
    os.set_blocking(pipe.writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe.writer, b"." * 4096)
    os.set_blocking(pipe.writer, True)
    return fcntl.fcntl(pipe.writer, fcntl.F_GETPIPE_SZ)


def test_lines_arrive_whole_and_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    lines = [f"{n}:{'x' * (n % 500)}\n".encode() for n in range(200)]
    for line in lines:
        writer.write(line)
    writer.close()
    assert pipe.read_all() == b"".join(lines)
    assert writer.lost == 0


def test_lines_of_many_threads_are_not_mixed(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writer)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: writer.write(b"%d" % n * 50 + b"\n"), range(200)))
    writer.close()
    assert set(pipe.read_all().splitlines()) == {b"%d" % n * 50 for n in range(200)}


def test_a_full_pipe_loses_and_counts_what_is_past_the_bound(pipe: Pipe) -> None:
    filled = fill(pipe)
    writer = LineWriter(pipe.writer, max_waiting=5 * 16)
    for n in range(10):
        writer.write(b"%d234567\n%d234567\n" % (n, n), count=2)
    assert writer.lost == 2 * 5
    with ThreadPoolExecutor(1) as pool:  # read on, and what waited is written
        reading = pool.submit(os.read, pipe.reader, filled)
        assert reading.result() == b"." * filled
        writer.close()
    kept = b"".join(b"%d234567\n" % n * 2 for n in range(5))
    assert pipe.read_all() == kept
    assert writer.lost == 10


def test_once_the_pipe_is_read_again_lines_are_taken_again(pipe: Pipe) -> None:
    fill(pipe)
    writer = LineWriter(pipe.writer, max_waiting=10)
    writer.write(b"kept kept\n")
    writer.write(b"lost\n")
    assert writer.lost == 1
    os.read(pipe.reader, PIPE_BYTES)
    while not taken(writer, b"again\n"):  # the thread has yet to note that there is room
        pass
    writer.close()
    assert pipe.read_all().endswith(b"kept kept\nagain\n")


def taken(writer: LineWriter, line: bytes) -> bool:
    lost = writer.lost
    writer.write(line)
    return writer.lost == lost


def test_close_leaves_a_stuck_pipe_behind_and_counts_what_it_left(pipe: Pipe) -> None:
    fill(pipe)
    writer = LineWriter(pipe.writer)
    writer.write(b"never\n")
    writer.write(b"nor\nthis\n", count=2)
    writer.close(timeout=0.05)
    assert writer._thread.is_alive()
    assert writer.lost == 3
    os.read(pipe.reader, PIPE_BYTES)  # let it end
    writer._thread.join(10)


def test_a_pipe_whose_reader_went_away_loses_and_counts(pipe: Pipe) -> None:
    os.close(pipe.reader)
    writer = LineWriter(pipe.writer)
    writer.write(b"a\nb\n", count=2)
    writer.write(b"c\n")
    writer.close()
    assert writer.lost == 3


def test_a_full_disk_loses_and_counts() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        writer = LineWriter(full.fileno())
        writer.write(b"a\nb\n", count=2)
        writer.close()
    assert writer.lost == 2


def test_a_pipe_made_non_blocking_by_others_gets_every_line_whole(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    writer = LineWriter(pipe.writer)
    lines = [b"%06d" % n * 100 + b"\n" for n in range(PIPE_BYTES // 100)]
    for line in lines:
        writer.write(line)
    got = bytearray()
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(writer.close, 30)
        while len(got) < sum(map(len, lines)):
            got += os.read(pipe.reader, 1000)
        closing.result()
    assert bytes(got) == b"".join(lines)
    assert writer.lost == 0


def test_the_beginning_and_the_end_of_a_loss_are_told_once_each(pipe: Pipe) -> None:
    fill(pipe)
    said: list[str] = []
    writer = LineWriter(pipe.writer, max_waiting=10, tell=said.append)
    writer.write(b"kept kept\n")
    for _ in range(5):
        writer.write(b"lost\n")
    assert said == ["lines are being lost: nobody reads them fast enough"]
    os.read(pipe.reader, PIPE_BYTES)
    writer.close()
    assert said[1:] == ["lines are written again; 5 were lost"]


def test_a_full_disk_is_told_once_with_its_reason() -> None:
    said: list[str] = []
    with open("/dev/full", "wb", buffering=0) as full:
        writer = LineWriter(full.fileno(), tell=said.append)
        for _ in range(5):
            writer.write(b"a\n")
        writer.close()
    assert said == ["lines are being lost: no space left on device"]


def test_a_line_that_was_broken_off_does_not_run_into_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_write, room = os.write, [10]

    def fills_up(descriptor: int, data: memoryview) -> int:
        if descriptor != file.fileno():
            return whole_write(descriptor, data)
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = whole_write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    with (tmp_path / "log").open("wb", buffering=0) as file, monkeypatch.context() as patch:
        patch.setattr(os, "write", fills_up)
        writer = LineWriter(file.fileno())
        writer.write(b"first\nsecond\nthird\n", count=3)
        while writer.lost < 2:  # the thread has yet to find the disk full
            pass
        room[0] = 1000
        writer.write(b"fourth\n")
        writer.close()
    assert (tmp_path / "log").read_bytes() == b"first\nseco\nfourth\n"
    assert writer.lost == 2


def test_a_file_that_is_cut_short_while_it_is_written_to_gets_no_hole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        writer = LineWriter(file.fileno())
        writer.write(b"old\n" * 1000)
        writer.close()
        os.truncate(path, 0)
        writer = LineWriter(file.fileno())
        writer.write(b"new\n")
        writer.close()
    assert path.read_bytes() == b"new\n"


# Python's logging on its way through


class Told:
    """A logger whose lines go through a writer into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb", buffering=0)
        self._writer = LineWriter(self._file.fileno())
        self.log = logging.Logger("some.room")
        self.log.addHandler(WriterHandler(self._writer))

    def read(self) -> str:
        """All of it; ends the writer."""
        self._writer.close()
        self._file.close()
        return self._path.read_text("utf-8")

    def failing(self, error: Exception, context: Exception | None = None) -> str:
        """What is told of an exception that code met."""
        error.__context__ = context
        try:
            raise error
        except Exception:
            self.log.exception("it failed")
        return self.read()


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "log")


def test_log_lines_say_when_how_grave_and_who(told: Told) -> None:
    told.log.warning("ünal \udcff %s", "x")
    stamp, comma, rest = told.read().partition(",")
    assert (len(stamp), comma) == (len("2026-11-21 06:00:00"), ",")
    assert rest[3:] == " WARNING some.room: ünal \\udcff x\n"


def test_an_exception_is_told_by_type_and_place_without_its_text(told: Told) -> None:
    text = told.failing(ValueError("no token like CANARY"))
    assert "it failed" in text
    assert "in failing" in text
    assert text.endswith("ValueError\n")
    assert "CANARY" not in text


def test_exceptions_behind_an_exception_are_told_without_their_text(told: Told) -> None:
    text = told.failing(RuntimeError("CANARY"), context=TransferEncodingError("CANARY"))
    assert text.index("TransferEncodingError") < text.index("RuntimeError")
    assert "CANARY" not in text


def test_what_the_operating_system_says_is_told(told: Told) -> None:
    text = told.failing(FileNotFoundError(2, "No such file", "/srv/site/index.html"))
    assert "No such file: '/srv/site/index.html'" in text


def test_what_the_parser_refuses_is_left_to_the_access_log(told: Told) -> None:
    assert told.failing(BadHttpMessage("Authorization: Bearer CANARY")) == ""


def test_a_record_that_cannot_be_formatted_is_dropped(told: Told) -> None:
    told.log.error("%d", "no number")
    told.log.error("another")
    assert told.read().endswith(" ERROR some.room: another\n")


@pytest.mark.parametrize("length", [1, 100, 4095, 4096, 4097, 9000])
def test_what_is_written_at_once_is_whole_lines_and_fits_into_a_pipe(length: int) -> None:
    lines = b"".join(b"%d" % (n % 10) * (length - 1) + b"\n" for n in range(50))
    found = list(pieces(lines))
    assert b"".join(found) == lines
    assert all(piece.endswith(b"\n") for piece in found)
    assert all(len(piece) <= 4096 or piece.count(b"\n") == 1 for piece in found)


def test_whoever_writes_alone_writes_much_at_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, write = [], os.write

    def counted(descriptor: int, data: memoryview) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    writer = LineWriter(pipe.writer, alone=True)
    lines = b"x" * 99 + b"\n"
    writer.write(lines * 200, 200)
    writer.close()
    assert sizes == [20_000]
    assert pipe.read_all() == lines * 200


def test_what_has_no_line_end_is_written_too() -> None:
    assert b"".join(pieces(b"x" * 5000)) == b"x" * 5000
    assert list(pieces(b"")) == []
