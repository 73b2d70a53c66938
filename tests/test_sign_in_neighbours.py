"""A sign-in that lives in another worker: what is handed on to it, and what where it has gone."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gate.sign_in.neighbours import Neighbours
from tests.conftest import Gate, MakeGate, cookie_of
from tests.devices import FakeDevices, running_devices
from tests.raw import PATIENCE

START, WAIT, EVENTS = "/-/sign-in/start", "/-/sign-in/wait", "/-/sign-in/events"
FINISH, CANCEL = "/-/sign-in/finish", "/-/sign-in/cancel"


@pytest.fixture
async def devices() -> AsyncIterator[FakeDevices]:
    async with running_devices() as fake:
        yield fake


@pytest.fixture
async def workers(make_gate: MakeGate, devices: FakeDevices, tmp_path: Path) -> list[Gate]:
    places = tuple(tmp_path / str(number) for number in range(2))
    return [
        await make_gate(neighbours=Neighbours(number, places), sign_in=devices.settings())
        for number in range(2)
    ]


def own(gate: Gate, **more: str) -> dict[str, str]:
    """The headers of a form that a page of the gate's own sends."""
    return {"Origin": gate.origin, "Sec-Fetch-Site": "same-origin", **more}


async def begin(gate: Gate) -> dict[str, str]:
    answer = await gate.post(START, headers=own(gate), data={"next": ""})
    assert answer.status == 303
    return {"Cookie": cookie_of(answer)}


async def test_it_is_told_once_and_of_the_client_that_asked(workers: list[Gate]) -> None:
    one, other = workers
    cookie = await begin(one)
    forged = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=192.0.2.8",
        "X-Request-Id": "forged",
        "User-Agent": "a browser",
    }
    answer = await other.get(WAIT, headers={**cookie, **forged})
    assert answer.status == 200
    assert "<svg" in await answer.text()
    assert await other.log() == []
    began, waited = await one.log()
    assert (began["url.path"], waited["url.path"]) == (START, WAIT)
    assert waited["client.address"] == "127.0.0.1"
    assert waited["user_agent.original"] == "a browser"
    assert waited["request.id"] != "forged"


async def test_the_answer_is_the_same_as_at_home(workers: list[Gate]) -> None:
    one, _ = workers
    cookie = await begin(one)
    host = {"Host": one.origin.removeprefix("http://")}
    answers = [
        await gate.request(method, WAIT, headers={**cookie, **host})
        for gate in workers
        for method in ("GET", "HEAD")
    ]
    for here, there in zip(answers[:2], answers[2:], strict=True):
        texts = [re.sub("[0-9a-f]{32}", "id", await each.text()) for each in (here, there)]
        assert (here.status, texts[0]) == (there.status, texts[1])
        assert sorted(here.headers) == sorted(there.headers)
        assert here.headers["Content-Length"] == there.headers["Content-Length"]
        assert here.headers["Content-Security-Policy"] == there.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", [FINISH, CANCEL])
async def test_a_form_comes_with_its_origin(workers: list[Gate], path: str) -> None:
    one, other = workers
    cookie = await begin(one)
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert (await other.post(path, headers={**evil, **cookie}, data={})).status == 403
    assert (await other.post(path, headers=own(other, **cookie), data={})).status == 303


async def test_who_begins_anew_at_another_worker_has_one_flow(
    workers: list[Gate], devices: FakeDevices
) -> None:
    one, other = workers
    cookie = await begin(one)
    answer = await other.post(START, headers=own(other, **cookie), data={"next": ""})
    assert answer.status == 303
    replaced = await one.get(WAIT, headers=cookie)
    assert replaced.status == 410
    assert (await other.get(WAIT, headers={"Cookie": cookie_of(answer)})).status == 200


async def test_where_that_worker_has_gone_it_is_told_like_a_restart(
    workers: list[Gate], tmp_path: Path
) -> None:
    one, other = workers
    cookie = await begin(one)
    (tmp_path / "0").unlink()
    answer = await other.get(WAIT, headers=cookie)
    assert answer.status == 410
    assert "restarted" in await answer.text()
    events = await other.get(EVENTS, headers=cookie)
    assert b'"restarted"' in await events.read()
    again = await other.post(START, headers=own(other, **cookie), data={"next": ""})
    assert again.status == 303
    assert (await other.get(WAIT, headers={"Cookie": cookie_of(again)})).status == 200


async def test_an_answer_that_breaks_off_there_breaks_off_here(
    workers: list[Gate], tmp_path: Path
) -> None:
    one, other = workers
    cookie = await begin(one)
    (tmp_path / "0").unlink()

    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning")
        writer.close()

    async with await asyncio.start_unix_server(dies, tmp_path / "0"), asyncio.timeout(PATIENCE):
        with pytest.raises(aiohttp.ClientPayloadError):
            await other.get(WAIT, headers=cookie)


@pytest.mark.parametrize(
    ("flow_id", "home"),
    [
        ("0-abc", Path("a")),
        ("1-abc", None),
        ("2-abc", Path("c")),
        ("3-abc", None),
        ("-1-abc", None),
        ("²-abc", None),
        ("0123456789abcdef", None),
        ("", None),
        (None, None),
    ],
)
def test_an_id_says_where_it_lives(flow_id: str | None, home: Path | None) -> None:
    neighbours = Neighbours(1, (Path("a"), Path("b"), Path("c")))
    assert neighbours.home(flow_id) == home
    assert neighbours.home(neighbours.new_id()) is None
    assert Neighbours(0, neighbours.places).home(neighbours.new_id()) == Path("b")
