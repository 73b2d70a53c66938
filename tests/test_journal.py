"""The journal: lines that several processes share, whole or not at all."""

import multiprocessing
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gate.state.journal import Journal, JournalProblem


def read_all(path: Path) -> list[bytes]:
    with closing(Journal(path)) as journal:
        return journal.follow() or []


def append(path: Path, line: bytes) -> None:
    with closing(Journal(path)) as journal:
        journal.append(line)


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Callable[[], Journal]]:
    """Every call is another process that has the same journal open."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(Journal(tmp_path / "journal")))


OpenJournal = Callable[[], Journal]


def test_what_is_appended_is_followed_once(open_journal: OpenJournal) -> None:
    journal = open_journal()
    assert journal.follow() is None
    journal.append(b"one")
    journal.append(b"two")
    assert journal.follow() == [b"one", b"two"]
    assert journal.follow() is None


def test_it_survives_a_restart(tmp_path: Path) -> None:
    append(tmp_path / "journal", b"one")
    assert read_all(tmp_path / "journal") == [b"one"]


def test_another_process_sees_a_line_at_once(open_journal: OpenJournal) -> None:
    ours, theirs = open_journal(), open_journal()
    theirs.append(b"one")
    assert ours.follow() == [b"one"]


def test_only_its_owner_can_read_it(open_journal: OpenJournal, tmp_path: Path) -> None:
    open_journal()
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"tw", b"two", b"\0" * 100])
def test_a_line_torn_by_a_crash_does_not_exist(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "journal"
    append(path, b"one")
    with path.open("ab") as file:
        file.write(torn)
    assert read_all(path) == [b"one"]
    append(path, b"three")
    assert read_all(path) == [b"one", b"three"]


def test_a_file_torn_at_its_birth_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"\0\0\0")
    append(tmp_path / "journal", b"one")
    assert read_all(tmp_path / "journal") == [b"one"]


def test_a_rewrite_leaves_out_what_is_not_kept_and_readers_follow_it(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    ours, theirs = open_journal(), open_journal()
    for line in (b"old", b"good"):
        ours.append(line)
    assert theirs.follow() == [b"old", b"good"]
    ours.rewrite(lambda line: line != b"old")
    ours.append(b"new")
    assert theirs.follow() == [b"good", b"new"]
    assert theirs.follow() is None
    assert read_all(path) == [b"good", b"new"]
    assert [file.name for file in tmp_path.iterdir()] == ["journal"]


def _append_many(path: Path, name: bytes) -> None:
    with closing(Journal(path)) as journal:
        for number in range(50):
            journal.append(name + b" %d" % number)
            if number == 25:
                journal.rewrite(lambda line: True)


def test_processes_that_write_together_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_append_many, args=(path, name)) for name in (b"a", b"b", b"c")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    lines = read_all(path)
    for name in (b"a", b"b", b"c"):
        assert [line for line in lines if line.startswith(name)] == [
            name + b" %d" % number for number in range(50)
        ]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalProblem, match="file"):
        Journal(tmp_path / "file" / "journal")


def test_a_disk_that_refuses_is_told_and_nothing_half_written_counts(
    open_journal: OpenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = open_journal()
    journal.append(b"one")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(JournalProblem, match="No space left"):
            journal.append(b"two")
    assert read_all(path) == [b"one"]
