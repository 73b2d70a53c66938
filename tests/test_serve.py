"""`gate serve` as a process: signals, streams, keys, exit codes."""

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM
from typing import IO, Any

import aiohttp
import pytest
from aiohttp import web

from tests.certificates import make_certificate
from tests.fakes import GOOD, FakeApi
from tests.processes import PATIENCE, ROOT, Process, gate_process, run_gate, write_config


@pytest.fixture
def folder(tmp_path: Path, docs_tree: Path, api: FakeApi) -> Path:
    """A working directory whose config.toml serves a site on any free port."""
    write_config(tmp_path, root=docs_tree, verify=api.url)
    return tmp_path


@asynccontextmanager
async def served(folder: Path, **options: Any) -> AsyncIterator[tuple[Process, int]]:
    """`gate serve` in a folder, once it serves, and its port."""
    async with gate_process("serve", cwd=folder, **options) as process:
        yield process, await process.port()


async def get(port: int, path: str, cookie: str = "") -> tuple[int, str]:
    """A response's status and its cookie."""
    url = f"http://127.0.0.1:{port}{path}"
    headers = {"Cookie": cookie} if cookie else {}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
        client.get(url, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, response.headers.get("Set-Cookie", "").partition(";")[0]


def statuses(process: Process) -> list[int]:
    """Those in the access log, which must be all that standard output has."""
    return [json.loads(line)["http.response.status_code"] for line in process.out.splitlines()]


async def test_it_serves_until_ctrl_c_and_ends_well(folder: Path) -> None:
    async with served(folder) as (process, port):
        status, cookie = await get(port, f"/?token={GOOD}")
        assert status == 303
        assert await get(port, "/guide/", cookie) == (200, "")
        assert await process.stop(SIGINT) == 0
    assert statuses(process) == [303, 200]
    said = [line.split(" ", 3)[2:] for line in process.err.splitlines()]
    assert [level for level, _ in said] == ["WARNING", "INFO", "INFO"]
    assert "leak.txt" in said[0][1]
    assert said[1][1] == f"gate.server: serving {folder}/site on http://127.0.0.1:{port}"
    assert said[2][1].startswith("gate.server: stopping")


async def test_a_session_survives_kill_9_and_the_key_is_its_owners_alone(folder: Path) -> None:
    async with served(folder) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        assert await process.stop(SIGKILL) == -SIGKILL
    async with served(folder) as (_, port):
        assert await get(port, "/", cookie) == (200, "")
    assert stat.S_IMODE((folder / ".gate" / "session.key").stat().st_mode) == 0o600


async def test_processes_that_start_together_open_each_others_sessions(folder: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        both = [stack.enter_async_context(gate_process("serve", cwd=folder)) for _ in range(2)]
        ports = [await process.port() for process in await asyncio.gather(*both)]
        _, cookie = await get(ports[0], f"/?token={GOOD}")
        assert [await get(port, "/", cookie) for port in ports] == [(200, "")] * 2
    assert sorted(os.listdir(folder / ".gate")) == ["revocations", "session.key"]


async def client(port: int, keep: bool, answered: list[bool], busy: asyncio.Event) -> None:
    """Asks until nobody listens any more. A connection that was open must answer, unless the
    answer before said that it would close."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        again = True
        while again:
            connection = b"keep-alive" if keep else b"close"
            writer.write(
                b"GET /-/healthz HTTP/1.1\r\nHost: x\r\nConnection: %b\r\n\r\n" % connection
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(16) == b'{"status": "ok"}'
            answered.append(True)
            if len(answered) > 200:
                busy.set()
            again = b"Connection: close" not in head
        writer.close()


async def test_sigterm_under_load_fails_no_request(folder: Path) -> None:
    answered: list[bool] = []
    busy = asyncio.Event()
    async with served(folder) as (process, port):
        async with asyncio.TaskGroup() as clients:
            for number in range(12):
                clients.create_task(client(port, number % 2 == 0, answered, busy))
            await busy.wait()
            process.send(SIGTERM)
        assert await process.ended() == 0
        assert statuses(process) == [200] * len(answered)


@asynccontextmanager
async def one_under_way(api: FakeApi, port: int) -> AsyncIterator[None]:
    """A request that waits for the verify API all the while."""
    asked, release = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.set()
        await release.wait()
        return web.json_response(True)

    api.answer = answer
    waiting = asyncio.create_task(get(port, f"/?token={GOOD}"))
    await asked.wait()
    yield
    release.set()
    with contextlib.suppress(aiohttp.ClientError):
        await waiting


async def test_a_second_signal_ends_it_at_once(folder: Path, api: FakeApi) -> None:
    async with served(folder, environ={"GATE_VERIFY__TIMEOUT": "60"}) as (process, port):
        async with one_under_way(api, port):
            process.send(SIGTERM)
            await process.said("stopping")
            assert await process.stop(SIGINT) == -SIGINT
        assert "Traceback" not in process.err


async def test_sigterm_while_it_starts_ends_it_well(tmp_path: Path) -> None:
    slow = tmp_path / "slow.toml"
    os.mkfifo(slow)
    async with gate_process("serve", "--config", str(slow), cwd=tmp_path) as process:
        # opens once the process reads its configuration, which then never comes
        with await asyncio.to_thread(open, slow, "wb"):
            assert await process.stop(SIGTERM) == 0
    assert (process.out, process.err) == ("", "")


async def test_while_it_drains_it_serves_and_is_not_ready(folder: Path) -> None:
    async with served(folder, environ={"GATE_SERVER__DRAIN_DELAY": "600"}) as (process, port):
        assert (await get(port, "/-/readyz"))[0] == 200
        process.send(SIGTERM)
        await process.said("stopping")
        paths = ["/-/readyz", "/-/healthz", "/", f"/?token={GOOD}"]
        assert [(await get(port, path))[0] for path in paths] == [503, 200, 401, 303]
        assert await process.stop() == -SIGTERM


async def test_without_standard_output_it_serves_and_no_socket_gets_the_log(folder: Path) -> None:
    async with served(folder, before='exec "$@" >&-') as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(5):
            writer.write(b"GET /-/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b'{"status": "ok"}')
        assert await process.stop() == 0
        assert await reader.read() == b""
        writer.close()
        assert "Traceback" not in process.err


@pytest.fixture
def full_pipe() -> Iterator[IO[bytes]]:
    """The writing end of a pipe that took all it can, and that nobody reads."""
    unread, full = os.pipe()
    os.set_blocking(full, False)
    with open(unread, "rb"), open(full, "wb", buffering=0) as writing:
        while writing.write(b"." * 4096):
            pass
        os.set_blocking(full, True)
        yield writing


async def test_a_full_pipe_stops_no_answer_and_what_it_lost_is_counted(
    folder: Path, full_pipe: IO[bytes]
) -> None:
    async with served(folder, stdout=full_pipe) as (process, port):
        assert [(await get(port, "/"))[0] for _ in range(20)] == [401] * 20
        assert await process.stop() == 0
    assert "20 lines for standard output could not be written" in process.err


async def test_a_full_disk_stops_no_answer_and_is_told_once(folder: Path) -> None:
    async with served(folder, before='exec "$@" >/dev/full') as (process, port):
        for _ in range(3):  # each time a line that cannot be written
            assert [(await get(port, "/"))[0] for _ in range(5)] == [401] * 5
            await process.said("no space left on device")
        assert await process.stop() == 0
    assert process.err.count("are being lost") == 1


async def test_without_descriptors_it_is_back_once_the_crowd_has_left(folder: Path) -> None:
    limit = 'ulimit -n 96; exec "$@"'
    async with served(folder, before=limit) as (process, port):
        _, cookie = await get(port, f"/?token={GOOD}")
        crowd = [socket.socket() for _ in range(300)]
        for each in crowd:
            each.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                each.connect(("127.0.0.1", port))
        await process.said("too many connections")
        for each in crowd:
            each.close()
        async with asyncio.timeout(PATIENCE):
            while await attempt(port, cookie) != 200:
                pass
        assert await process.stop() == 0
    assert "Traceback" not in process.err


async def attempt(port: int, cookie: str) -> int:
    """A status, 0 where there is no answer."""
    try:
        return (await get(port, "/", cookie))[0]
    except aiohttp.ClientError:
        return 0


async def test_a_taken_port_is_named_with_the_key_to_change(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = await run_gate("serve", cwd=folder, environ={"GATE_SERVER__PORT": port})
    code, out, err = told
    assert (code, out) == (1, "")
    problem = f"gate: port {port} on 127.0.0.1 is taken by another program: change [server] port"
    assert err.splitlines()[-1] == problem
    assert "Traceback" not in err


async def test_every_problem_of_the_configuration_is_told_at_once_and_nothing_starts(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.toml").write_text(
        'colour = 1\n[server]\nprt = 1\npublic_url = "http://docs.example"\n[site]\nroot = "none"\n'
        '[session]\nkeys = ["s3cret"]\n[frame]\nallowed_origins = ["*"]\n'
    )
    environ = {"GATE_SERVER__NONE": "1", "GATE_CACHE__TTL": "soon"}
    code, out, err = await run_gate("serve", cwd=tmp_path, environ=environ)
    assert (code, out) == (2, "")
    for place in (
        "config.toml: colour",
        "config.toml: [server] prt",
        "config.toml: [server] public_url",
        "config.toml: [site] root",
        "config.toml: [verify] url",
        "config.toml: [session] keys",
        "config.toml: [frame] allowed_origins",
        "GATE_SERVER__NONE",
        "GATE_CACHE__TTL",
    ):
        assert place in err
    assert "s3cret" not in err
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["config.toml"]


async def test_a_certificate_that_cannot_be_used_is_named_and_nothing_starts(
    folder: Path,
) -> None:
    certificate, key = make_certificate(folder, password=b"nobody is asked for it")
    environ = {"GATE_SERVER__TLS_CERTIFICATE": str(certificate), "GATE_SERVER__TLS_KEY": str(key)}
    code, out, err = await run_gate("serve", cwd=folder, environ=environ)
    assert (code, out) == (2, "")
    assert "[server] tls_certificate" in err
    assert "pass phrase" not in err


async def test_the_repositorys_configuration_runs_as_it_is(tmp_path: Path) -> None:
    elsewhere = {"GATE_SERVER__PORT": "0", "GATE_SERVER__STATE_DIR": str(tmp_path)}
    async with served(ROOT, environ=elsewhere) as (process, port):
        assert (await get(port, "/"))[0] == 401
        assert (await get(port, "/-/readyz"))[0] == 200
        assert await process.stop() == 0
    assert "WARNING" not in process.err
