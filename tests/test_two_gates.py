"""Two whole gates and a real server between them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.conftest import Gate, MakeGate
from tests.fakes import FakeApi
from tests.redis_server import RedisServer, redis_server


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - what is waited for has no event to set
            await asyncio.sleep(0.01)


async def two_gates(make_gate: MakeGate, server: RedisServer, folder: Path) -> tuple[Gate, Gate]:
    """Two gates with a state_dir of their own each."""
    cache = {"shared_url": server.url}
    first = await make_gate(cache=cache, server={"state_dir": folder / "a"})
    return first, await make_gate(cache=cache, server={"state_dir": folder / "b"})


async def test_one_call_for_two_gates_and_one_sign_out(
    make_gate: MakeGate, api: FakeApi, tmp_path: Path
) -> None:
    async with redis_server() as server:
        a, b = await two_gates(make_gate, server, tmp_path)
        session = await a.sign_in()
        assert [(await each.get("/", headers=session)).status for each in (a, b)] == [200, 200]
        assert api.count == 1
        answer = await a.post("/-/sign-out", headers={**session, "Origin": a.origin})
        assert answer.status == 303
        await until(lambda: _is(401, b, "/", session))


async def test_a_sign_out_without_the_server_is_told_when_it_is_back(
    make_gate: MakeGate, tmp_path: Path
) -> None:
    async with redis_server() as server:
        a, b = await two_gates(make_gate, server, tmp_path)
        session = await a.sign_in()
        assert (await b.get("/", headers=session)).status == 200
        await server.kill()
        answer = await a.post("/-/sign-out", headers={**session, "Origin": a.origin})
        assert answer.status == 503
        assert (await a.get("/", headers=session)).status == 401
        assert "shared" in await (await a.get("/-/readyz")).text()
        assert (await b.get("/-/readyz")).status == 200
        await server.start()
        await until(lambda: _is(401, b, "/", session))
        await until(lambda: _is(200, a, "/-/readyz", {}))


async def _is(status: int, gate: Gate, path: str, headers: dict[str, str]) -> bool:
    return (await gate.get(path, headers=headers)).status == status
