"""`[server] workers` above one, as processes: what one has to know of the others, and what happens
when one dies, all are stopped, or the first goes away."""

import asyncio
import json
import os
import re
import signal
import socket
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import Any

import aiohttp
import pytest

from tests.devices import APPROVED, running_devices
from tests.fakes import GOOD, FakeApi
from tests.processes import PATIENCE, Process, Target, gate_process, run_gate, write_config
from tests.test_serve import client, get, one_under_way, statuses

TWO = {"GATE_SERVER__WORKERS": "2"}
HEALTHY = b"GET /-/healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def folder(tmp_path: Path, docs_tree: Path, api: FakeApi) -> Path:
    """A working directory whose config.toml serves a site on any free port."""
    write_config(tmp_path, root=docs_tree, verify=api.url)
    return tmp_path


@asynccontextmanager
async def two_workers(
    folder: Path, stdout: Target = PIPE, **environ: str
) -> AsyncIterator[tuple[Process, int]]:
    """`gate serve` with two workers, once both answer."""
    environ = {**TWO, **environ}
    async with gate_process("serve", cwd=folder, stdout=stdout, environ=environ) as process:
        port = await process.port()
        await until(lambda: len(workers(process)) == 2)
        yield process, port


def workers(process: Process) -> set[int]:
    pid = process.process.pid
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - processes have no event to wait for
            await asyncio.sleep(0.01)


class Connection:
    """One connection, and so one worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def status(self, path: str, cookie: str, method: str = "GET", *more: str) -> int:
        return (await self.ask(path, cookie, method, *more))[0]

    async def ask(
        self, path: str, cookie: str, method: str = "GET", *more: str
    ) -> tuple[int, bytes]:
        """Status and body."""
        status, _, body = await self.exchange(path, cookie, method, *more)
        return status, body

    async def exchange(
        self, path: str, cookie: str, method: str = "GET", *more: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, header and body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: docs.example", f"Cookie: {cookie}", *more]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        body = await self._reader.readexactly(int(fields.get("Content-Length", 0)))
        return int(head.split(b" ", 2)[1]), fields, body

    async def press(self, path: str, cookie: str) -> str:
        """Send an empty form of a page of the gate's own; the cookie of the answer."""
        form = "Content-Type: application/x-www-form-urlencoded"
        own = ("Origin: http://docs.example", form, "Content-Length: 0")
        status, fields, _ = await self.exchange(path, cookie, "POST", *own)
        assert status == 303
        return fields["Set-Cookie"].partition(";")[0]


@asynccontextmanager
async def one_to_each(process: Process, port: int) -> AsyncIterator[list[Connection]]:
    """A connection to every worker: which one has it, is told by stopping them in turn."""
    found: list[Connection] = []
    pids = workers(process)
    for pid in pids:
        for other in pids - {pid}:
            os.kill(other, signal.SIGSTOP)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEALTHY)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        found.append(Connection(reader, writer))
        for other in pids - {pid}:
            os.kill(other, signal.SIGCONT)
    yield found
    for each in found:
        each._writer.close()


async def test_a_worker_that_is_killed_is_replaced_and_nobody_is_signed_out(folder: Path) -> None:
    async with two_workers(folder) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        before = workers(process)
        for pid in before:
            os.kill(pid, SIGKILL)
        await until(lambda: len(workers(process) - before) == 2)
        assert [await get(port, "/", cookie) for _ in range(8)] == [(200, "")] * 8
        for pid in before:
            assert f"worker {pid} was killed by signal 9" in process.err
        assert await process.stop() == 0


async def test_a_sign_out_holds_in_every_worker_at_once(folder: Path) -> None:
    async with two_workers(folder) as (process, port), one_to_each(process, port) as (one, other):
        _, cookie = await get(port, f"/?token={GOOD}")
        assert [await each.status("/", cookie) for each in (one, other)] == [200, 200]
        origin = "Origin: http://docs.example"
        assert await one.status("/-/sign-out", cookie, "POST", origin, "Content-Length: 0") == 303
        assert [await each.status("/", cookie) for each in (one, other)] == [401, 401]


async def test_a_revocation_holds_in_every_worker_and_in_those_that_come_later(
    folder: Path,
) -> None:
    secret = "operators-secret-1"
    async with two_workers(folder, GATE_REVOKE__SECRET=secret) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        async with aiohttp.ClientSession() as session:
            bearer = {"Authorization": f"Bearer {secret}"}
            url = f"http://127.0.0.1:{port}/-/revoke"
            async with session.post(url, json={"token": GOOD}, headers=bearer) as response:
                assert response.status == 204
        async with one_to_each(process, port) as connections:
            assert [await each.status("/", cookie) for each in connections] == [401, 401]
        before = workers(process)
        for pid in before:
            os.kill(pid, SIGKILL)
        await until(lambda: len(workers(process) - before) == 2)
        async with one_to_each(process, port) as connections:
            assert [await each.status("/", cookie) for each in connections] == [401, 401]


async def test_the_metrics_of_every_worker_speak_for_all_and_outlive_one_that_is_killed(
    folder: Path,
) -> None:
    secret = "a-secret-for-the-metrics"
    bearer = f"Authorization: Bearer {secret}"
    redirects = 'gate_requests_total{outcome="allowed",status_class="3xx"}'

    async def told(connection: Connection, what: str) -> float:
        status, body = await connection.ask("/-/metrics", "", "GET", bearer)
        assert status == 200
        found = re.search(rf"^{re.escape(what)} (\S+)$", body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    async with two_workers(folder, GATE_METRICS__SECRET=secret) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        async with one_to_each(process, port) as connections:
            for _ in range(3):
                assert [await each.status("/guide", cookie) for each in connections] == [301, 301]
            # what the other one counted is told once it has written it
            async with asyncio.timeout(PATIENCE):
                for each in connections:
                    while await told(each, redirects) < 6:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                    assert await told(each, "gate_workers") == 2
        before = workers(process)
        os.kill(max(before), SIGKILL)
        await until(lambda: len(workers(process) - before) == 1)
        async with one_to_each(process, port) as connections:
            assert [await told(each, redirects) for each in connections] == [6, 6]


async def test_every_worker_writes_the_lines_of_what_it_answered_for_the_same_reader(
    folder: Path, api: FakeApi
) -> None:
    api.tokens = {GOOD: {"active": True, "sub": "ann"}}
    async with two_workers(folder, GATE_VERIFY__ACTIVE="/active") as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        async with one_to_each(process, port) as connections:
            for path in ("/", "/guide/", "/nowhere", "/assets/app.js"):
                for each in connections:
                    await each.status(path, cookie)
        assert await process.stop() == 0
        lines = [json.loads(line) for line in process.out.splitlines()]
        seen = [line for line in lines if line["gate.outcome"] == "allowed"]
        assert Counter(line["url.path"] for line in seen) == dict.fromkeys(
            ("/", "/guide/", "/nowhere", "/assets/app.js"), 2
        )
        (subject,) = {line["gate.subject"] for line in seen}
        assert subject != "ann"


async def test_a_sign_in_by_qr_code_goes_on_whichever_worker_is_asked(folder: Path) -> None:
    async with running_devices() as devices:
        devices.interval = 0.5
        config = folder / "config.toml"
        section = "".join(f"{key} = {json.dumps(value)}\n" for key, value in devices.qr().items())
        config.write_text(f"{config.read_text()}\n[sign_in.qr]\n{section}")
        async with (
            two_workers(folder) as (process, port),
            one_to_each(process, port) as connections,
        ):
            here, there = connections
            flow = await here.press("/-/sign-in/start", "")
            for each in (here, there, here, there):
                status, page = await each.ask("/-/sign-in/wait", flow)
                assert status == 200
                assert b"<svg" in page
            devices.say(APPROVED)
            async with asyncio.timeout(PATIENCE):
                while b'data-state="accepted"' not in page:
                    _, page = await there.ask("/-/sign-in/wait", flow)
            cookie = await there.press("/-/sign-in/finish", flow)
            assert [await each.status("/", cookie) for each in connections] == [200, 200]
            assert [await each.status("/-/sign-in/wait", flow) for each in connections] == [200] * 2
        assert not list((folder / "state").glob("worker-*"))


async def test_sigterm_under_load_fails_no_request_and_every_line_of_the_log_is_whole(
    folder: Path,
) -> None:
    answered: list[bool] = []
    busy = asyncio.Event()
    async with two_workers(folder) as (process, port):
        async with asyncio.TaskGroup() as clients:
            for number in range(12):
                clients.create_task(client(port, number % 2 == 0, answered, busy))
            await busy.wait()
            process.send(SIGTERM)
        assert await process.ended() == 0
        assert statuses(process) == [200] * len(answered)
        ids = [json.loads(line)["request.id"] for line in process.out.splitlines()]
        assert len(set(ids)) == len(ids)
    assert "Traceback" not in process.err


async def test_a_signal_to_the_whole_group_drains_too(folder: Path, api: FakeApi) -> None:
    """As systemd sends it, and a terminal for Ctrl-C."""
    async with two_workers(folder) as (process, port):
        async with one_under_way(api, port):
            for pid in (*workers(process), process.process.pid):
                os.kill(pid, SIGTERM)
            await process.said("stopping")
        assert await process.ended() == 0
        assert statuses(process)[-1] == 303


async def test_a_second_signal_ends_all_at_once(folder: Path, api: FakeApi) -> None:
    async with two_workers(folder, GATE_VERIFY__TIMEOUT="60") as (process, port):
        pids = workers(process)
        async with one_under_way(api, port):
            process.send(SIGTERM)
            await process.said("stopping")
            assert await process.stop(SIGINT) == -SIGINT
        await until(lambda: not any(map(alive, pids)))
        assert "Traceback" not in process.err


async def test_workers_do_not_outlive_the_first_process(folder: Path) -> None:
    async with two_workers(folder) as (process, _):
        pids = workers(process)
        process.send(SIGKILL)
        await until(lambda: not any(map(alive, pids)))


async def test_a_taken_port_is_named_and_nothing_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, out, err = await run_gate(
            "serve", cwd=folder, environ={**TWO, "GATE_SERVER__PORT": port}
        )
    assert (code, out) == (1, "")
    problem = f"gate: port {port} on 127.0.0.1 is taken by another program: change [server] port"
    assert err.splitlines()[-1] == problem


async def test_a_new_build_is_served_by_every_worker_and_by_those_that_come_later(
    folder: Path, docs_tree: Path
) -> None:
    async with two_workers(folder) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        (docs_tree / "later.html").write_text("<html>later</html>")
        await process.said(r"serving a new build(.|\n)*serving a new build")
        async with one_to_each(process, port) as connections:
            assert [await each.status("/later.html", cookie) for each in connections] == [200] * 2
        before = workers(process)
        for pid in before:
            os.kill(pid, SIGKILL)
        await until(lambda: len(workers(process) - before) == 2)
        async with one_to_each(process, port) as connections:
            assert [await each.status("/later.html", cookie) for each in connections] == [200] * 2


async def test_while_it_drains_every_worker_serves_and_is_not_ready(folder: Path) -> None:
    async with (
        two_workers(folder, GATE_SERVER__DRAIN_DELAY="600") as (process, port),
        one_to_each(process, port) as connections,
    ):
        process.send(SIGTERM)
        for each in connections:
            async with asyncio.timeout(PATIENCE):
                while await each.status("/-/readyz", "") != 503:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await each.status("/-/healthz", "") == 200
        assert (await get(port, "/"))[0] == 401
        assert await process.stop() == -SIGTERM
