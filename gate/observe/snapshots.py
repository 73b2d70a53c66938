"""What each worker counted, in files that the others read, so that any of them can speak for all.

A worker writes its own file now and then, and before every answer to a scrape: so a counter never
goes back, whoever is asked. What a worker counted stays when it has gone; what it held does not.
Files are read and written here: not on the loop.
"""

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.observe import plain
from gate.observe.history import Minutes
from gate.observe.metrics import Readings, counters, joined
from gate.observe.problems import Problem

if sys.platform != "win32":
    import fcntl

STALE = 10.0
"""Seconds without a new file after which a worker holds nothing any more."""

_PARTS = {"readings", "minutes", "problems"}
_GONE = "gone"
_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one worker knows."""

    readings: Readings
    minutes: Minutes = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class Snapshots:
    """The files of one gate's workers. `clock` is monotonic and the same for all processes."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._clock = clock

    def clear(self) -> None:
        """Forget an earlier run of the gate: before its first worker starts. Raises OSError."""
        for name, _ in self._documents():
            self._file(name).unlink(missing_ok=True)

    def write(self, snapshot: Snapshot) -> None:
        """Put down what this worker knows now. Raises OSError."""
        self._put(self._name, snapshot, {"at": self._clock()})

    def read(self) -> list[Snapshot]:
        """Of all workers that are or were."""
        found = dict(self._documents())
        absorbed, now = _absorbed(found), self._clock()
        return [
            _snapshot(document, alive=0 <= now - document.get("at", now + 1) < STALE)
            for name, document in found.items()
            if name not in absorbed
        ]

    def tidy(self) -> None:
        """Put what workers left that are no more into one file, so that there are never many.
        Raises OSError."""
        with self._alone() as alone:
            found = dict(self._documents()) if alone else {}
            absorbed = _absorbed(found)
            left = [name for name in found if name not in {_GONE, *absorbed} and not _runs(name)]
            if left:
                gone = [
                    _snapshot(found[name], alive=False).readings
                    for name in (_GONE, *left)
                    if name in found
                ]
                # the names come with the sum: nobody counts a file that is not removed yet twice
                whole = Snapshot(joined(gone))
                self._put(_GONE, whole, {"names": [*absorbed, *left]})
            for name in (*absorbed, *left):
                self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / (name + _ENDING)

    def _documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        gone = self._file(_GONE)
        # the sum comes last: whatever is put away meanwhile is in it
        for file in (*(each for each in self._folder.glob("*" + _ENDING) if each != gone), gone):
            # another worker may have put it away; or it is nothing of ours
            with contextlib.suppress(OSError, ValueError):
                document = json.loads(file.read_bytes())
                if isinstance(document, dict) and document.keys() >= _PARTS:
                    yield file.name.removesuffix(_ENDING), document

    def _put(self, name: str, snapshot: Snapshot, more: dict[str, object]) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        fresh = self._folder / f"{self._name}.new"
        fresh.write_text(json.dumps({**more, **_document(snapshot)}), "ascii")
        fresh.replace(self._file(name))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether no other worker tidies at the same time."""
        if sys.platform == "win32":  # one process at a time there
            yield True
            return
        with (self._folder / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # closing the file unlocks it
            except BlockingIOError:
                yield False
            else:
                yield True


def _absorbed(found: dict[str, dict[str, Any]]) -> list[str]:
    """Names whose counts stand in the sum; a file of theirs may still be there."""
    return [name for name in found.get(_GONE, {}).get("names", []) if name in found]


def _runs(name: str) -> bool:
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:  # somebody else's by now
        return True
    return True


def _document(snapshot: Snapshot) -> dict[str, object]:
    return {
        "readings": plain.of_readings(snapshot.readings),
        "minutes": plain.of_minutes(snapshot.minutes),
        "problems": snapshot.problems,
    }


def _snapshot(document: dict[str, Any], *, alive: bool) -> Snapshot:
    readings = plain.to_readings(document["readings"])
    return Snapshot(
        readings if alive else counters(readings),
        plain.to_minutes(document["minutes"]),
        [Problem(*each) for each in document["problems"]],
    )
