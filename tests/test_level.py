"""SIGUSR1 turns debugging on and off while the gate serves, and a lost log costs no request."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGUSR1

import aiohttp
import pytest

from gate.observe.level import OURS, LevelSwitch
from tests.fakes import FakeApi
from tests.processes import ROOT, environment, gate_process, write_config

BAD_COOKIE = {"Cookie": "__Host-gate=gAAAAABn"}


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    logger = logging.getLogger(OURS)
    yield logger
    logger.setLevel(logging.NOTSET)


def test_each_turn_goes_to_the_other_level(ours: logging.Logger) -> None:
    switch, levels = LevelSwitch(), []
    for _ in range(3):
        switch.turn()
        levels.append(ours.level)
    assert levels == [logging.DEBUG, logging.NOTSET, logging.DEBUG]
    assert logging.getLogger("aiohttp.client").getEffectiveLevel() > logging.DEBUG


async def test_a_signal_turns_debugging_on_and_off(
    docs_tree: Path, tmp_path: Path, api: FakeApi
) -> None:
    more = '[log]\nlevel = "info"'
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    async with gate_process("serve", cwd=tmp_path) as process, aiohttp.ClientSession() as client:
        port = await process.port()

        async def knock() -> None:
            async with client.get(f"http://127.0.0.1:{port}/", headers=BAD_COOKIE) as answer:
                assert answer.status == 401

        await knock()
        process.send(SIGUSR1)
        await process.said("debugging is on")
        await knock()
        await process.said("a session did not open")
        process.send(SIGUSR1)
        await process.said("debugging is off")
        await knock()
        assert await process.stop() == 0
    assert process.err.count("a session did not open") == 1
    assert "gAAAAABn" not in process.err


async def test_a_flood_of_bad_cookies_is_ten_lines(
    docs_tree: Path, tmp_path: Path, api: FakeApi
) -> None:
    more = '[log]\nlevel = "debug"'
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    async with gate_process("serve", cwd=tmp_path) as process, aiohttp.ClientSession() as client:
        port = await process.port()
        for _ in range(40):
            async with client.get(f"http://127.0.0.1:{port}/", headers=BAD_COOKIE) as answer:
                assert answer.status == 401
        await process.said(r"\d+ more within a second: a session did not open")
        assert await process.stop() == 0


@pytest.mark.parametrize("stdout", ["full disk", "closed pipe", "unread pipe"])
async def test_a_lost_access_log_costs_no_request_and_is_told_once(
    docs_tree: Path, tmp_path: Path, api: FakeApi, stdout: str
) -> None:
    write_config(tmp_path, root=docs_tree, verify=api.url)
    reader, writer = os.pipe()
    if stdout == "closed pipe":
        os.close(reader)
    if stdout == "full disk":
        os.dup2(os.open("/dev/full", os.O_WRONLY), writer)
    async with (
        gate_process("serve", cwd=tmp_path, stdout=writer) as process,
        aiohttp.ClientSession() as client,
    ):
        os.close(writer)
        port = await process.port()
        for _ in range(300):  # more lines than a pipe holds, where nobody reads it
            url = f"http://127.0.0.1:{port}/{'x' * 400}"
            async with client.get(url, headers={"User-Agent": "y" * 400}) as answer:
                assert answer.status == 401
        if stdout != "unread pipe":
            await process.said("standard output: lines are being lost: ")
        assert await process.stop() == 0
    told = process.err.count("standard output: lines are being lost: ")
    assert told == (0 if stdout == "unread pipe" else 1), "of a stuck pipe the end tells"
    assert "lines for standard output could not be written" in process.err


def test_nothing_of_opentelemetry_is_loaded_unless_it_is_wanted() -> None:
    code = "import sys, gate.cli, gate.app; print('opentelemetry' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout == "False\n"
