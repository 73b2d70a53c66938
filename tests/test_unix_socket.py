"""`[server] socket`: a gate that only a proxy on the same machine can reach."""

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

import pytest

from tests.fakes import FakeApi
from tests.processes import Process, gate_process, run_gate, write_config

ASKED = (
    b"GET /guide/?token=x HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n"
    b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: docs.example\r\nConnection: close\r\n\r\n"
)


@pytest.fixture
def folder(tmp_path: Path, docs_tree: Path, api: FakeApi) -> Path:
    write_config(tmp_path, root=docs_tree, verify=api.url, more='socket = "gate.sock"')
    return tmp_path


async def exchange(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(ASKED)
    got = await reader.read()
    writer.close()
    return got


async def serving(process: Process, folder: Path) -> Path:
    await process.said(f"serving .* on {folder}/gate.sock\n")
    return folder / "gate.sock"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_answers_there_believes_the_proxy_and_is_healthy(
    folder: Path, workers: str
) -> None:
    environ = {"GATE_SERVER__WORKERS": workers}
    async with gate_process("serve", cwd=folder, environ=environ) as process:
        path = await serving(process, folder)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert (await exchange(path)).startswith(b"HTTP/1.1 401 ")
        assert (await run_gate("health", cwd=folder))[:2] == (0, "healthy\n")
        assert await process.stop() == 0
        assert json.loads(process.out.splitlines()[0])["client.address"] == "192.0.2.7"
    code, _, err = await run_gate("health", cwd=folder)
    assert (code, f"{path} does not answer" in err) == (1, True)


async def test_what_a_killed_gate_left_behind_is_in_nobodys_way(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "gate.sock"))
    async with gate_process("serve", cwd=folder) as process:
        assert (await exchange(await serving(process, folder))).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("what", ["a program that listens", "a file"])
async def test_what_is_in_use_is_left_alone(folder: Path, what: str) -> None:
    path = folder / "gate.sock"
    with socket.socket(socket.AF_UNIX) as other:
        if what == "a file":
            path.write_text("not ours")
        else:
            other.bind(str(path))
            other.listen()
        code, _, err = await run_gate("serve", cwd=folder)
    assert code == 1
    assert f"cannot listen on {path}" in err
    assert "[server] socket" in err
    assert "gate.sock" in os.listdir(folder)
