"""The fast door answers as aiohttp would, and leaves to aiohttp what it should."""

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import islice, pairwise

import pytest
import pytest_asyncio

from tests.attacks import TRAVERSALS, lines, probes
from tests.doors import (
    CSS,
    FETCHES,
    LAST,
    ODD_HEADERS,
    PATHS,
    REQUEST_LINES,
    VARYING,
    Pair,
    both_doors,
    get,
    same,
)
from tests.fakes import GOOD
from tests.fuzzing import differing, requests
from tests.raw import PATIENCE, doors_of, server_of, statuses, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with both_doors(tmp_path_factory.mktemp("doors")) as found:
        yield found


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT", "BREW"])
async def test_every_path_gets_the_same_answer_by_both_doors(pair: Pair, method: str) -> None:
    for path in PATHS:
        same(await pair.told(get(path, method=method)))
        same(await pair.told(get(path, "Accept-Encoding: br", method=method)))
        same(await pair.told(get(path, method=method, browser="")))


@pytest.mark.parametrize("target", ["/", CSS, "/nowhere"])
async def test_so_does_every_header(pair: Pair, target: str) -> None:
    for header in ODD_HEADERS:
        same(await pair.told(get(target, header)))
        same(await pair.told(get(target, header, browser="")))
    for one, other in pairwise(ODD_HEADERS):
        same(await pair.told(get(target, one, other, browser="")))


async def test_so_does_every_request_line_before_headers_that_came_already(pair: Pair) -> None:
    first, _, headers = get("/", method="HEAD").partition("\r\n")
    for line in REQUEST_LINES:
        same(await pair.told(f"{first}\r\n{headers}"))
        same(await pair.told(f"{line}\r\n{headers}"))


async def test_so_does_every_way_to_be_fetched(pair: Pair) -> None:
    for site, mode, dest in FETCHES:
        browser = f"Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n"
        same(await pair.told(get("/", browser=browser)))
        same(await pair.told(get(CSS, browser=browser)))


@pytest.mark.parametrize("name", probes())
async def test_so_does_everything_odd(pair: Pair, name: str) -> None:
    for steps in probes()[name].values():
        same(await pair.told(b"".join(steps)))


async def test_so_does_everything_hostile(pair: Pair) -> None:
    for group in lines(TRAVERSALS[:60], "patt_directory_traversal.txt").values():
        for path in list(group)[:150]:
            target = re.sub(r"[^!-~]", "", path)
            target = target if target.startswith("/") else "/" + target
            same(await pair.told(get(target)))


async def test_so_does_everything_that_went_wrong_by_chance(pair: Pair) -> None:
    for data in islice(requests(seed=7), 300):
        assert await differing(pair, data) == ""


async def test_a_condition_that_holds_is_304_by_both(pair: Pair) -> None:
    for coding in ("br", "gzip", "identity"):
        reader = {"Cookie": pair.cookies[0], "Accept-Encoding": coding}
        tag = (await pair.fast.get("/", headers=reader)).headers["ETag"]
        for method in ("GET", "HEAD"):
            told = await pair.told(
                get("/", f"Accept-Encoding: {coding}", f"If-None-Match: {tag}", method=method)
            )
            same(told)
            assert statuses(told[0])[0] == 304


async def test_what_is_plainly_hot_never_reaches_aiohttp(pair: Pair) -> None:
    doors = doors_of(pair.fast)
    hot = [
        get("/"),
        get("/guide/", method="HEAD"),
        get(CSS),
        get("/?h=word"),
    ]
    before = doors.answers
    for request in hot:
        await pair.told(request)
    assert doors.answers == before + len(hot)
    cold = [get("/nowhere"), get("/guide"), get("/", "Range: bytes=0-1"), get("/", "Cookie: a=b"),
            get("/", f"Authorization: Bearer {GOOD}"), get("/?token=bad"), get("/", method="POST"),
            get("/", "Connection: close"), get("/-/healthz")]  # fmt: skip
    for request in cold:
        await pair.told(request)
    assert doors.answers == before + len(hot)


@pytest.mark.parametrize("piece", [1, 7, 100])
async def test_split_and_pipelined_requests_are_answered_in_order(pair: Pair, piece: int) -> None:
    post = "POST /-/session HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 3\r\n\r\nabc"
    whole = "".join([get("/"), post, get("/guide/"), get("/nowhere"), get(CSS),
                     get("/", method="HEAD"), get("/guide")])  # fmt: skip
    fast, slow = await pair.told(whole)
    assert fast == slow
    assert statuses(fast)[:2] == [200, 403]
    data = whole.replace("@@COOKIE@@", pair.cookies[0]).encode() + LAST
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    reader, writer = await asyncio.open_connection(pair.fast.host, pair.fast.port)
    async with asyncio.timeout(PATIENCE):
        for each in pieces:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)  # so that the pieces come one by one
        got = VARYING.sub(b"*", await reader.read())
    writer.close()
    assert got == slow


async def test_the_next_request_may_be_hot_again(pair: Pair) -> None:
    doors = doors_of(pair.fast)
    reader, writer = await asyncio.open_connection(pair.fast.host, pair.fast.port)
    for turn in range(5):
        for request, hot in ((get("/nowhere", method="HEAD"), 0), (get("/", method="HEAD"), 1)):
            before = doors.answers
            writer.write(request.replace("@@COOKIE@@", pair.cookies[0]).encode())
            async with asyncio.timeout(PATIENCE):
                got = await reader.readuntil(b"\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 404" if not hot else b"HTTP/1.1 200"), turn
            assert doors.answers == before + hot
    writer.close()


async def test_an_idle_connection_is_cut_off_after_its_time(pair: Pair) -> None:
    for first in (b"", get("/").replace("@@COOKIE@@", pair.cookies[0]).encode()):
        reader, writer = await asyncio.open_connection(pair.fast.host, pair.fast.port)
        writer.write(first)
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()
    await until(lambda: not server_of(pair.fast).connections)


async def test_a_request_that_came_during_a_standstill_is_answered(pair: Pair) -> None:
    doors = doors_of(pair.fast)
    await until(lambda: not doors.connections)
    asking = get("/").replace("@@COOKIE@@", pair.cookies[0]).encode()
    reader, writer = await asyncio.open_connection(pair.fast.host, pair.fast.port)
    writer.write(asking)
    await until(lambda: len(doors.connections) == 1)
    (door,) = doors.connections
    assert not door.was_asked, "its request was not read yet"
    door.last -= 60
    doors._watch()
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_half_closed_and_lost_connections_leave_nothing_behind(pair: Pair) -> None:
    data = get("/").replace("@@COOKIE@@", pair.cookies[0]).encode()
    for end in ("half", "abort", "half request"):
        reader, writer = await asyncio.open_connection(pair.fast.host, pair.fast.port)
        writer.write(data[:50] if end == "half request" else data)
        if end == "abort":
            writer.transport.abort()
            continue
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            got = await reader.read()
        assert statuses(got) == ([200] if end == "half" else [])
        writer.close()
    await until(lambda: not server_of(pair.fast).connections)
