"""A short soak: people come and go, and a gate keeps nothing of them that has no bound."""

import shutil
from pathlib import Path

from bench.faults.soak import soak
from bench.faults.trial import Stage
from bench.machine import Cores
from tests.processes import ROOT

SECONDS = 6.0

GROWTH = 64 << 20
"""Bytes: what it remembers on purpose, and room for the machine; `python -m bench soak` tells how
memory grows."""


async def test_people_who_come_and_go_leave_no_descriptor_and_no_task(tmp_path: Path) -> None:
    site = shutil.copytree(ROOT / "site", tmp_path / "site")
    found = await soak(Stage(tmp_path, site, Cores(None, None)), SECONDS)
    assert found.faults == []
    assert found.after.memory - found.before.memory < GROWTH
