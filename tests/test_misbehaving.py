"""Whatever the verify API does, short of an answer, is "cannot say": 503 soon, and nothing kept."""

import asyncio
import resource
import ssl
from collections.abc import Iterator

import pytest

from tests.conftest import Gate, MakeGate
from tests.fakes import GOOD, FakeClock
from tests.misbehaving import MODES, WELL
from tests.misbehaving_process import ENDLESS, TIMEOUT, Misbehaving, misbehaving, timeout_for

HANGS = 10.0
"""Seconds after which nobody would call it an answer: the machine may be busy with other things."""


@pytest.fixture(scope="module")
def process() -> Iterator[Misbehaving]:
    with misbehaving() as running:
        yield running


@pytest.fixture
async def gate(make_gate: MakeGate, process: Misbehaving, mode: str) -> Gate:
    return await make_gate(verify={"url": process.url, "timeout": timeout_for(mode)})


BEARER = {"Authorization": f"Bearer {GOOD}"}


def resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("mode", MODES)
async def test_it_cannot_say(gate: Gate, process: Misbehaving, mode: str) -> None:
    await asyncio.to_thread(process.be, mode)
    before = resident_mib()
    async with asyncio.timeout(HANGS):
        response = await gate.get(f"/?token={GOOD}")
    assert response.status == 503
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert "Set-Cookie" not in response.headers
    assert resident_mib() - before < 16
    calls = await asyncio.to_thread(process.be, "yes")
    assert calls in (1, 2)
    if "busy" not in mode:
        assert (await gate.get("/", headers=BEARER)).status == 200, "something was remembered"


@pytest.mark.parametrize("mode", MODES)
async def test_a_reader_keeps_the_cookie(
    gate: Gate, process: Misbehaving, clock: FakeClock, mode: str
) -> None:
    await asyncio.to_thread(process.be, "yes")
    cookie = await gate.sign_in()
    await asyncio.to_thread(process.be, mode)
    assert (await gate.get("/", headers=cookie)).status == 200, "a remembered yes needs nobody"
    clock.advance(300)
    response = await gate.get("/", headers=cookie)
    assert response.status == 503
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("mode", "status"),
    [(mode, 303 if mode.startswith("yes") else 401) for mode in WELL],
)
async def test_it_says(gate: Gate, process: Misbehaving, mode: str, status: int) -> None:
    await asyncio.to_thread(process.be, mode)
    assert (await gate.get(f"/?token={GOOD}")).status == status


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://no-such-host.invalid/",
        "https://127.0.0.1:{port}/",
    ],
    ids=["refused", "no such host", "no TLS"],
)
async def test_it_is_not_there(make_gate: MakeGate, process: Misbehaving, url: str) -> None:
    port = process.url.rpartition(":")[2].partition("/")[0]
    gate = await make_gate(verify={"url": url.format(port=port), "timeout": ENDLESS})
    response = await gate.get(f"/?token={GOOD}")
    assert response.status == 503
    assert int(response.headers["Retry-After"]) >= 1


async def test_a_certificate_that_nobody_vouches_for_cannot_say(
    make_gate: MakeGate, self_signed: ssl.SSLContext
) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=self_signed)
    async with server:
        port = server.sockets[0].getsockname()[1]
        gate = await make_gate(verify={"url": f"https://127.0.0.1:{port}/", "timeout": TIMEOUT})
        assert (await gate.get(f"/?token={GOOD}")).status == 503


async def test_while_it_keeps_failing_nobody_waits_and_it_is_left_alone(
    make_gate: MakeGate, process: Misbehaving
) -> None:
    await asyncio.to_thread(process.be, "status 500 with a yes in it")
    gate = await make_gate(verify={"url": process.url, "timeout": TIMEOUT})
    for number in range(20):
        assert (await gate.get(f"/?token=t{number}")).status == 503
    assert await asyncio.to_thread(process.be, "yes") == 5


async def test_it_is_asked_again_once_it_has_recovered(
    make_gate: MakeGate, process: Misbehaving, clock: FakeClock
) -> None:
    await asyncio.to_thread(process.be, "resets")
    gate = await make_gate(verify={"url": process.url, "timeout": TIMEOUT})
    for number in range(6):
        assert (await gate.get(f"/?token=t{number}")).status == 503
    await asyncio.to_thread(process.be, "yes")
    assert (await gate.get(f"/?token={GOOD}")).status == 503
    clock.advance(1.3)
    assert (await gate.get(f"/?token={GOOD}")).status == 303


async def test_a_wish_for_rest_is_obeyed_for_everyone(
    make_gate: MakeGate, process: Misbehaving, clock: FakeClock
) -> None:
    await asyncio.to_thread(process.be, "busy, come back never")
    gate = await make_gate(verify={"url": process.url, "timeout": TIMEOUT})
    first = await gate.get("/?token=one")
    assert (first.status, first.headers["Retry-After"]) == (503, "60")
    assert await asyncio.to_thread(process.be, "yes") == 1
    clock.advance(59)
    second = await gate.get("/?token=two")
    assert (second.status, second.headers["Retry-After"]) == (503, "1")
    assert await asyncio.to_thread(process.be, "yes") == 0
    clock.advance(1)
    assert (await gate.get("/?token=two")).status == 303
