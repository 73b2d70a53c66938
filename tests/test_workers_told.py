"""What two workers tell of themselves, as processes: one sum in the metrics, one log."""

import asyncio
import json
import os
from collections import Counter
from itertools import product
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.fakes import GOOD, FakeApi
from tests.processes import write_config
from tests.test_metrics import BEARER, SECRET, Samples, samples
from tests.test_serve import get
from tests.test_workers import Connection, one_to_each, two_workers, until, workers

AUTHORIZED = f"Authorization: {BEARER['Authorization']}"
COUNTERS = ("_total", "_bucket", "_count", "_sum")


@pytest.fixture
def folder(tmp_path: Path, docs_tree: Path, api: FakeApi) -> Path:
    more = f'[metrics]\nsecret = "{SECRET}"'
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    return tmp_path


async def scrape(connection: Connection) -> Samples:
    status, body = await connection.ask("/-/metrics", "", "GET", AUTHORIZED)
    assert status == 200
    return samples(body.decode())


async def test_each_worker_tells_what_both_have_counted(folder: Path, api: FakeApi) -> None:
    async with two_workers(folder) as (process, port), one_to_each(process, port) as (one, other):
        _, cookie = await get(port, f"/?token={GOOD}")
        assert [await one.status("/guide", cookie) for _ in range(3)] == [301] * 3
        assert [await other.status("/guide", cookie) for _ in range(5)] == [301] * 5
        assert [await other.status("/", "") for _ in range(2)] == [401] * 2
        await scrape(one)  # writes down what it counted itself
        for found in (await scrape(other), await scrape(one)):
            assert found["gate_workers", ()] == 2
            assert found["gate_requests_total", ("allowed", "3xx")] == 8
            assert found["gate_requests_total", ("no_token", "4xx")] == 2
            assert found["gate_requests_total", ("intake", "3xx")] == 1
            assert found["gate_sessions_sealed_total", ()] == 1
            # each asks for itself
            assert found["gate_verifications_total", ("yes",)] == api.count == 2


async def test_no_counter_goes_back_when_workers_are_replaced(folder: Path) -> None:
    before: Samples = {}

    async def look(connections: list[Connection]) -> None:
        for each in connections:
            found = await scrape(each)
            counters = {key: n for key, n in found.items() if key[0].endswith(COUNTERS)}
            assert {key: n for key, n in before.items() if counters.get(key, 0) < n} == {}
            before.update(counters)

    async with two_workers(folder) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        async with one_to_each(process, port) as connections:
            for each in connections:
                assert [await each.status("/guide", cookie) for _ in range(10)] == [301] * 10
            await look(connections * 2)
        served = "gate_requests_total", ("allowed", "3xx")
        assert before[served] == 20
        for _ in range(2):
            old = workers(process)
            os.kill(min(old), SIGKILL)
            await until(lambda old=old: len(workers(process) - old) == 1)
            async with one_to_each(process, port) as connections:
                await look(connections * 2)
                assert [await each.status("/guide", cookie) for each in connections] == [301] * 2
                await look(connections * 2)
        assert before[served] == 24
        assert before["gate_request_duration_seconds_count", ()] >= 24


PATHS = "/" + "a" * 300, "/" + '"' * 900
AGENTS = "Mozilla/5.0", "\\" * 2000, "\x80" * 2000


async def test_lines_of_two_workers_into_one_pipe_are_whole_whatever_is_in_them(
    folder: Path,
) -> None:
    reading, writing = os.pipe()
    answered: Counter[int] = Counter()
    async with two_workers(folder, stdout=writing) as (process, port):
        os.close(writing)

        async def ask(connection: Connection) -> None:
            for path, agent in product(PATHS * 15, AGENTS):
                answered[await connection.status(path, "", "GET", f"User-Agent: {agent}")] += 1

        # nobody reads meanwhile: both wait for the pipe to take more
        async with (
            one_to_each(process, port) as ones,
            one_to_each(process, port) as others,
            asyncio.TaskGroup() as clients,
        ):
            for each in [*ones, *others]:
                clients.create_task(ask(each))
        written = asyncio.create_task(asyncio.to_thread(everything, reading))
        assert await process.stop() == 0
        lines = [json.loads(line) for line in (await written).splitlines()]
    assert answered == {401: 4 * 2 * 15 * 3}
    assert len(lines) == answered[401] + 4
    assert len({line["request.id"] for line in lines}) == len(lines)
    assert "lost" not in process.err


def everything(descriptor: int) -> bytes:
    with open(descriptor, "rb") as pipe:
        return pipe.read()
