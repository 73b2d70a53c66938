"""Revocations: what has ended, for whom, since when, and who knows."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from gate.state.journal import Journal, JournalProblem
from gate.state.revocations import (
    LOOK_SECONDS,
    Revocation,
    RevocationProblem,
    Revocations,
    fingerprint_of_subject,
    revocation_of,
)
from tests.fakes import FakeClock

LIFETIME = 3600.0


Make = Callable[[], Awaitable[Revocations]]


@pytest.fixture
def make(tmp_path: Path, clock: FakeClock) -> Iterator[Make]:
    """Every call is another worker, or the same after a restart."""
    with ExitStack() as stack:

        def open_one() -> Revocations:
            journal = stack.enter_context(closing(Journal(tmp_path / "revocations")))
            return Revocations(
                journal, lifetime=LIFETIME, wall=clock.wall, monotonic=clock.monotonic
            )

        yield lambda: asyncio.to_thread(open_one)


async def test_a_session_that_was_ended_has_ended_and_no_other(make: Make) -> None:
    revocations = await make()
    await revocations.end("session", "one")
    assert revocations.ends_session("one")
    assert not revocations.ends_session("two")
    assert not revocations.ends_token("one")


async def test_a_token_that_was_ended_has_ended(make: Make) -> None:
    revocations = await make()
    await revocations.end("token", "f")
    assert revocations.ends_token("f")
    assert not revocations.ends_session("f")


async def test_a_subject_ends_up_to_the_moment(make: Make, clock: FakeClock) -> None:
    revocations = await make()
    await revocations.end("subject", fingerprint_of_subject("ann"))
    assert revocations.ends_at("ann") == clock.wall()
    assert revocations.ends_at("bob") == 0
    assert revocations.ends_at(None) == 0


async def test_everything_ends_up_to_the_moment(make: Make, clock: FakeClock) -> None:
    revocations = await make()
    await revocations.end("everything", at=clock.wall() - 100)
    assert {revocations.ends_at(who) for who in ("ann", None)} == {clock.wall() - 100}


async def test_the_later_moment_holds(make: Make, clock: FakeClock) -> None:
    revocations = await make()
    await revocations.end("subject", fingerprint_of_subject("ann"))
    clock.advance(10)
    await revocations.end("everything", at=clock.wall() - 5)
    assert revocations.ends_at("ann") == clock.wall() - 5
    await revocations.end("everything", at=clock.wall() - 50)
    assert revocations.ends_at("ann") == clock.wall() - 5


async def test_other_workers_and_later_starts_know(make: Make) -> None:
    ours, other = await make(), await make()
    await ours.end("session", "one")
    other.follow()
    assert other.ends_session("one")
    assert (await make()).ends_session("one")


async def test_what_has_run_out_is_forgotten(make: Make, clock: FakeClock) -> None:
    revocations = await make()
    await revocations.end("session", "one")
    clock.advance(LIFETIME - 1)
    await revocations.tidy()
    assert revocations.ends_session("one")
    clock.advance(1)
    await revocations.tidy()
    assert len(revocations) == 0


async def test_a_clock_that_runs_ahead_for_a_while_brings_nothing_back(
    make: Make, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.state.revocations.WORTH_A_REWRITE", 1)
    revocations = await make()
    await revocations.end("session", "long ago")
    clock.advance(LIFETIME)
    await revocations.end("session", "one")
    clock.unix += 86_400
    await revocations.tidy()
    clock.unix -= 86_400
    assert revocations.ends_session("one")
    assert (await make()).ends_session("one"), "it is still written"
    assert len(revocations) == 1
    clock.advance(LIFETIME)
    await asyncio.to_thread(revocations.follow)  # the file that was written anew
    await revocations.tidy()
    assert len(revocations) == 0


async def test_a_clock_that_went_back_ends_what_it_takes_for_the_future(
    make: Make, clock: FakeClock
) -> None:
    revocations = await make()
    clock.advance(1000)
    await revocations.write()
    issued = clock.wall()
    clock.unix -= 3600
    await revocations.end("subject", fingerprint_of_subject("ann"))
    assert revocations.ends_at("ann") > issued
    clock.advance(3600 + LOOK_SECONDS)
    await revocations.end("subject", fingerprint_of_subject("ann"))
    assert revocations.ends_at("ann") == clock.wall(), "it is as late again"


async def test_the_journal_is_written_anew_when_enough_has_run_out(
    make: Make, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.state.revocations.WORTH_A_REWRITE", 2)
    revocations = await make()
    for name in ("one", "two"):
        await revocations.end("session", name)
    clock.advance(LIFETIME)
    await revocations.end("session", "three")
    await revocations.tidy()
    assert b"one" not in (tmp_path / "revocations").read_bytes()
    assert (await make()).ends_session("three")


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[]", b"nonsense", b"\xff", b'["session", 1, 1, 1]', b'["other", "x", 1, 1]',
     b'["session", "x", "y", 1]', b'["session", "x", null, 1]', b"[" * 100_000],
)  # fmt: skip
def test_a_line_that_is_none_of_ours_is_passed_over(line: bytes) -> None:
    assert revocation_of(line) is None


def test_a_line_says_everything() -> None:
    revocation = Revocation("subject", "f", 1.25, 2.5)
    assert revocation_of(revocation.line()) == revocation


async def test_a_disk_that_refuses_is_told_and_this_worker_knows_all_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    revocations = await make()

    def refuse(self: Journal, line: bytes) -> None:
        raise JournalProblem("no space")

    monkeypatch.setattr(Journal, "append", refuse)
    with pytest.raises(RevocationProblem, match="no space"):
        await revocations.end("session", "one")
    assert revocations.ends_session("one")


async def test_what_a_disk_refused_is_written_later_and_only_once(
    make: Make, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    revocations = await make()

    def refuse(self: Journal, line: bytes) -> None:
        raise JournalProblem("no space")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", refuse)
        for what in ("runs out", "twice", "twice"):
            with pytest.raises(RevocationProblem):
                await revocations.end("session", what)
            clock.advance(LIFETIME / 2)
        with pytest.raises(JournalProblem):
            await revocations.write()
    await asyncio.gather(revocations.write(), revocations.end("session", "next"))
    written = (tmp_path / "revocations").read_bytes()
    assert [written.count(b'"%s"' % what) for what in (b"runs out", b"twice", b"next")] == [0, 1, 1]
    assert (await make()).ends_session("twice")


async def test_a_shared_tier_that_does_not_answer_is_told(make: Make) -> None:
    class Silent:
        async def announce(self, revocation: Revocation) -> None:
            raise OSError("gone")

    revocations = await make()
    revocations.announcer = Silent()
    with pytest.raises(RevocationProblem, match="shared"):
        await revocations.end("session", "one")
    assert (await make()).ends_session("one")
