"""The misbehaving verify API as a process, seen from the tests."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.processes import ROOT

TIMEOUT = 5.0
"""Seconds to wait for its answers: more than a busy machine takes to give one."""

ENDLESS = 0.8
"""The same, where it is known that there is no end to wait for."""


def timeout_for(mode: str) -> float:
    """The seconds to wait in this mode."""
    return ENDLESS if mode.startswith(("hangs", "drips", "endless")) else TIMEOUT


class Misbehaving:
    """A running one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in: IO[str] = process.stdin
        self._out: IO[str] = process.stdout
        self.url = f"http://127.0.0.1:{int(self._out.readline())}/verify"

    def be(self, mode: str) -> int:
        """Set the mode; returns how many questions the mode before got."""
        self._in.write(mode + "\n")
        self._in.flush()
        return int(self._out.readline())


@contextmanager
def misbehaving() -> Iterator[Misbehaving]:
    """It runs as long as the context lasts."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.misbehaving"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield Misbehaving(running)
