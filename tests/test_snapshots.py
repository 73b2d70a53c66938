"""What workers counted is one sum, whoever is asked, whoever has ended, and it never goes back."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gate.observe.histogram import NOTHING, Histogram
from gate.observe.history import Minute
from gate.observe.metrics import Readings, joined
from gate.observe.problems import Problem
from gate.observe.snapshots import STALE, Snapshot, Snapshots
from tests.fakes import FakeClock
from tests.processes import ROOT, environment

WORKER = """
import sys
from pathlib import Path
from gate.observe.histogram import Histogram
from gate.observe.snapshots import Snapshot, Snapshots

durations = Histogram()
snapshots = Snapshots(Path(sys.argv[1]))
for number in range(1, 51):
    durations.note(0.003)
    snapshots.write(Snapshot({
        "gate_requests_total": {("allowed", "2xx"): number},
        "gate_request_duration_seconds": {(): durations.spread()},
        "gate_flights": {(): 2},
        "process_open_fds": {(): 10 + number},
    }))
print("written", flush=True)
sys.stdin.read()
"""


def requests(count: int) -> Readings:
    return {"gate_requests_total": {("allowed", "2xx"): count}, "gate_flights": {(): 1}}


def whole(snapshots: Snapshots) -> Readings:
    return joined(each.readings for each in snapshots.read())


def counted(snapshots: Snapshots) -> object:
    return whole(snapshots)["gate_requests_total"]["allowed", "2xx"]


def worker(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
    )  # fmt: skip


def test_two_processes_that_write_at_the_same_time_are_summed(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    with worker(folder) as one, worker(folder) as other:
        assert one.stdout is not None
        assert other.stdout is not None
        snapshots, before = Snapshots(folder), 0.0
        while before < 100:  # while they write, and until they have written
            now = whole(snapshots).get("gate_requests_total", {}).get(("allowed", "2xx"), 0)
            assert isinstance(now, int | float)
            assert now >= before, "a counter went back"
            before = now
        assert (one.stdout.readline(), other.stdout.readline()) == ("written\n",) * 2
        readings = whole(snapshots)
        assert readings["gate_flights"] == {(): 4}
        assert readings["process_open_fds"] == {(): 60}
        durations = Histogram()
        for _ in range(100):
            durations.note(0.003)
        (spread,) = readings["gate_request_duration_seconds"].values()
        assert spread.counts == durations.spread().counts  # type: ignore[union-attr]
        one.communicate()
        other.communicate()
    snapshots.tidy()
    after = whole(snapshots)
    assert counted(snapshots) == 100, "what they counted outlives them"
    assert "gate_flights" not in after, "what they held does not"
    assert [file.name for file in folder.glob("*.json")] == ["gone.json"]


def test_the_own_file_is_what_is_read(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "workers")
    snapshots.write(Snapshot(requests(1)))
    snapshots.write(Snapshot(requests(5)))
    assert counted(snapshots) == 5


def test_minutes_and_problems_travel_too(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "workers")
    minute = Minute(Counter(allowed=3), 2, 1, NOTHING)
    problem = Problem(1.5, "503 unavailable", "/päge", "abc")
    snapshots.write(Snapshot({}, {7: minute}, [problem]))
    (found,) = snapshots.read()
    assert (found.minutes, found.problems) == ({7: minute}, [problem])


def test_what_a_silent_worker_holds_is_not_counted_and_what_it_counted_is(
    tmp_path: Path, clock: FakeClock
) -> None:
    folder = tmp_path / "workers"
    silent = Snapshots(folder, clock=clock.monotonic)
    speaking = Snapshots(folder, clock=clock.monotonic)
    silent.write(Snapshot(requests(3)))
    clock.advance(STALE)
    speaking.write(Snapshot(requests(4)))
    assert counted(speaking) == 7
    assert whole(speaking)["gate_flights"] == {(): 1}


def test_putting_away_twice_or_only_halfway_counts_nobody_twice(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    snapshots = Snapshots(folder)
    snapshots.write(Snapshot(requests(1)))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = folder / f"{dead.pid}-abcd.json"
    (own,) = folder.glob("*.json")
    left.write_bytes(own.read_bytes())
    content = left.read_bytes()
    for _ in range(2):
        snapshots.tidy()
        assert counted(snapshots) == 2
    left.write_bytes(content)  # as if its removal had failed
    assert counted(snapshots) == 2
    snapshots.tidy()
    assert not left.exists()
    assert counted(snapshots) == 2


def test_a_start_forgets_the_run_before(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    Snapshots(folder).write(Snapshot(requests(1)))
    Snapshots(folder).clear()
    assert Snapshots(folder).read() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_a_file_of_something_else_is_overlooked(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "workers"
    snapshots = Snapshots(folder)
    snapshots.write(Snapshot(requests(1)))
    (folder / "other.json").write_bytes(content)
    assert counted(snapshots) == 1


def test_only_the_gates_own_user_reads_what_was_counted(tmp_path: Path) -> None:
    folder = tmp_path / "workers"
    Snapshots(folder).write(Snapshot(requests(1)))
    assert os.stat(folder).st_mode & 0o077 == 0
