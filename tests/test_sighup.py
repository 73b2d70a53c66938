"""SIGHUP: what can be changed in a running gate is, what cannot is named, and what is wrong changes
nothing."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGHUP

import aiohttp
import pytest

from gate.reload import CHANGEABLE
from tests.fakes import GOOD, FakeApi
from tests.processes import ROOT, Process, gate_process, write_config
from tests.test_serve import get


@pytest.fixture(params=["1", "2"], ids=["one worker", "two workers"])
def workers(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def frame_ancestors(port: int) -> str:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/") as response,
    ):
        directives = response.headers["Content-Security-Policy"].split("; ")
    (found,) = [each for each in directives if each.startswith("frame-ancestors ")]
    return found


def test_the_handbook_names_what_is_taken_over_and_nothing_else() -> None:
    handbook = (ROOT / "docs" / "operating.md").read_text("utf-8")
    section = handbook.partition("\n## SIGHUP\n")[2].partition("\n## ")[0]
    (taken,) = re.findall(r"(?m)Taken over are (.*)$", section)
    names = ["`[{}] {}`".format(*name.split(".")) for name in CHANGEABLE]
    assert taken == f"{', '.join(names[:-1])} and {names[-1]}."
    assert "`[frame] allowed_origins`" in section


@asynccontextmanager
async def serving(
    folder: Path, root: Path, api: FakeApi, workers: str
) -> AsyncIterator[tuple[Process, int]]:
    write_config(folder, root=root, verify=api.url)
    environ = {"GATE_SERVER__WORKERS": workers, "GATE_SITE__RELOAD": "false"}
    async with gate_process("serve", cwd=folder, environ=environ) as process:
        port = await process.port()
        assert (await get(port, "/-/readyz"))[0] == 200
        yield process, port
        assert await process.stop() == 0
        assert "Traceback" not in process.err


async def test_it_takes_over_limits_and_the_site_and_names_what_needs_a_restart(
    tmp_path: Path, docs_tree: Path, api: FakeApi, workers: str
) -> None:
    async with serving(tmp_path, docs_tree, api, workers) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        (docs_tree / "later.html").write_text('<a href="gone.html">dead</a>')
        more = '[limits]\nfailures_per_client = 1\n[cache]\nttl = 60\n[log]\nlevel = "debug"'
        more += '\n[frame]\nallowed_origins = ["https://portal.example"]'
        write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
        process.send(SIGHUP)
        times = "(.|\n)*".join(["serving a new build"] * int(workers))
        await process.said(times)
        lasting = re.findall("need a restart: (.*)", process.err)
        assert set(lasting) == {"[cache] ttl, [frame] allowed_origins"}
        assert await frame_ancestors(port) == "frame-ancestors 'none'"
        taken = "settings taken over: [limits] failures_per_client, [log] level"
        assert taken in process.err
        assert [(await get(port, "/later.html", cookie))[0] for _ in range(4)] == [200] * 4
        answers = [(await get(port, f"/?token=bad-{n}"))[0] for n in range(int(workers) + 2)]
        assert answers[-1] == 429


async def test_a_configuration_that_is_wrong_changes_nothing(
    tmp_path: Path, docs_tree: Path, api: FakeApi, workers: str
) -> None:
    async with serving(tmp_path, docs_tree, api, workers) as (process, port):
        write_config(tmp_path, root=docs_tree, verify=api.url, more="[limits]\nfailures = 1")
        process.send(SIGHUP)
        await process.said("settings stay as they were(.|\n)*unknown key")
        assert (await get(port, f"/?token={GOOD}"))[0] == 303
