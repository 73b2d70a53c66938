"""The fast door over the life of a connection and a session."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDictProxy

from gate.door.reading import COMMON, OTHER_DOOR, OWN
from tests.conftest import MakeGate
from tests.doors import CSS, get
from tests.fakes import FakeClock
from tests.raw import doors_of


async def test_a_client_that_reads_nothing_is_made_no_more_answers(make_gate: MakeGate) -> None:
    gate = await make_gate()
    cookie = (await gate.sign_in())["Cookie"]
    await gate.get(CSS, headers={"Cookie": cookie})
    await gate.get("/", headers={"Cookie": cookie})
    request = get("/").replace("@@COOKIE@@", cookie).encode()
    doors = doors_of(gate)
    _, writer = await asyncio.open_connection(gate.host, gate.port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    wanted = 20_000
    writer.write(request * wanted)
    answered = -1
    while answered != doors.answers:  # until no more are made
        answered = doors.answers
        for _ in range(200):
            await asyncio.sleep(0)
    assert 0 < answered < wanted
    writer.transport.abort()


async def test_sign_out_and_time_limits_hold_at_once(make_gate: MakeGate, clock: FakeClock) -> None:
    gate = await make_gate()
    doors = doors_of(gate)
    cookie = await gate.sign_in()
    assert (await gate.get("/", headers=cookie)).status == 200  # its policy is read now
    before = doors.answers
    assert (await gate.get("/", headers=cookie)).status == 200
    assert doors.answers == before + 1
    out = {**cookie, "Origin": gate.origin}
    assert (await gate.post("/-/sign-out", headers=out)).status == 303
    assert (await gate.get("/", headers=cookie)).status == 401
    cookie = await gate.sign_in()
    assert (await gate.get("/", headers=cookie)).status == 200
    clock.advance(3600)
    assert (await gate.get("/", headers=cookie)).status == 401


async def test_the_other_door_looks_at_no_header_that_this_one_overlooks(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: set[str] = set()

    class Watched:
        """Headers that remember what was asked for."""

        def __init__(self, real: CIMultiDictProxy[str]) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def __contains__(self, name: object) -> bool:
            looked.add(str(name))
            return name in self._real

        def __getitem__(self, name: str) -> str:
            looked.add(name)
            return self._real[name]

        def get(self, name: str, default: Any = None) -> Any:
            looked.add(name)
            return self._real.get(name, default)

        def getall(self, name: str, default: Any = None) -> Any:
            looked.add(name)
            return self._real.getall(name, default)

    gate = await make_gate(server={"fast_door": False, "trusted_proxies": ["127.0.0.1"]})
    cookie = await gate.sign_in()
    monkeypatch.setattr(web.Request, "headers", property(lambda self: Watched(self._headers)))
    for path in ("/", CSS, "/nowhere"):
        await gate.get(path, headers={**cookie, "If-None-Match": '"x"', "Range": "bytes=0-1"})
    known = {name.decode() for name in (*COMMON, *OWN, *OTHER_DOOR)}
    # only for errors: what language and form they have
    assert {name.lower() for name in looked} - known <= {"accept", "accept-language"}


async def test_both_doors_write_the_same_lines(make_gate: MakeGate) -> None:
    told = []
    for fast in (True, False):
        gate = await make_gate(
            server={"fast_door": fast, "trusted_proxies": ["127.0.0.1"]},
            site={"public": ["/assets/**"]},
        )
        reader = await gate.sign_in()
        await gate.get("/", headers=reader)
        for more in (
            {},
            {"User-Agent": "Mozilla \xfc"},
            {"X-Forwarded-For": "192.0.2.7, 198.51.100.8", "X-Request-Id": "a-b.c_1"},
            {"Forwarded": "for=192.0.2.9"},
            {"X-Request-Id": "no id"},
            {"Accept-Encoding": "br"},
            {"If-None-Match": "*"},
        ):
            for path in ("/", CSS, "/guide/?a=b", "/nowhere"):
                for method in ("GET", "HEAD"):
                    await gate.request(method, path, headers={**reader, **more})
                await gate.get(path, headers=more)
        told.append([stripped(line) for line in await gate.log()])
    assert told[0] == told[1]


def stripped(line: dict[str, Any]) -> dict[str, Any]:
    """All of a line that does not differ from moment to moment."""
    made = len(line["request.id"]) == 32
    varying = {
        "timestamp",
        "duration_ms",
        "gate.verify_ms",
        "trace_id",
        "span_id",
        *(["request.id"] if made else []),
    }
    return {name: value for name, value in line.items() if name not in varying}
