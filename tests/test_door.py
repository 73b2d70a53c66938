"""The fast door answers as aiohttp would, and leaves to aiohttp what it should."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from tests.attacks import TRAVERSALS, lines, probes
from tests.conftest import Gate, cookie_of, lasting_gate
from tests.fakes import GOOD
from tests.raw import PATIENCE, doors_of, exchange, server_of, statuses, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAST = b"GET /-/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BROWSER = (
    "User-Agent: Mozilla/5.0\r\nAccept: text/html\r\nAccept-Language: en\r\n"
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"
)
VARYING = re.compile(rb"\r\nDate: [^\r\n]*|[0-9a-f]{32}|\"duration_ms\": [0-9.]+", re.IGNORECASE)


@dataclass
class Pair:
    """The same site with the same settings behind both doors, and a session of each."""

    fast: Gate
    slow: Gate
    cookies: tuple[str, str]

    async def told(self, request: str | bytes) -> tuple[bytes, bytes]:
        """What each says to a request and to the last one behind it."""
        got = []
        for gate, cookie in zip((self.fast, self.slow), self.cookies, strict=True):
            data = request.encode("latin-1") if isinstance(request, str) else request
            data = data.replace(b"@@COOKIE@@", cookie.encode())
            data = data.replace(b"@@HOST@@", b"gate.example")
            got.append(VARYING.sub(b"*", await exchange(gate, data + LAST)))
        return got[0], got[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    folder = tmp_path_factory.mktemp("doors")
    more: dict[str, Any] = {
        "site": {"public": ["/assets/**"]},
        "frame": {"allowed_origins": ["https://portal.example"]},
    }
    times = {"keepalive_timeout": 0.3, "header_timeout": 0.3}
    async with (
        lasting_gate(folder / "a", server={"fast_door": True, **times}, **more) as (fast, _),
        lasting_gate(folder / "b", server={"fast_door": False, **times}, **more) as (slow, _),
    ):
        cookies = []
        for gate in (fast, slow):
            # the page once, so that its policy is known
            answer = await gate.get(f"/?token={GOOD}")
            cookies.append(cookie_of(answer))
            for path in ("/", "/guide/", "/404.html", "/single.html"):
                await gate.get(path, headers={"Cookie": cookies[-1]})
        yield Pair(fast, slow, (cookies[0], cookies[1]))


def get(target: str, *headers: str, method: str = "GET", browser: str = BROWSER) -> str:
    """A request of a reader."""
    more = "".join(f"{each}\r\n" for each in headers)
    return (
        f"{method} {target} HTTP/1.1\r\nHost: gate.example\r\n{browser}"
        f"Cookie: @@COOKIE@@\r\n{more}\r\n"
    )


CSS = "/assets/main.0a1b2c3d.css"
PATHS = (
    "/", "/guide/", "/guide", "/index.html", "/guide/index.html", "/single.html", "/404.html",
    "/nowhere", CSS, "/assets/app.js", "/search/search_index.json",
    "/?a=b", "/?token=", "/?token=bad", "/?TOKEN=bad", "/?%74oken=bad", "/guide/?h=a%20b#c",
    "//", "/%67uide/", "/guide%2f", "/%C3%BCber%20uns/", "/./", "/guide/../", "/-/healthz", "/-/x",
    "/%2d/healthz", "/-/s/abc/guide/", "http://gate.example/", "https://evil.example/guide/",
    "*", "/\\", "/guide/;a", "/~", "/a\x7f", "/\xff",
)  # fmt: skip
ODD_HEADERS = (
    "Accept-Encoding: br", "Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0, br;q=0",
    "Accept-Encoding: *", "Accept-Encoding: identity", "Accept-Encoding: nonsense;q=x",
    "accept-encoding: BR", "ACCEPT-ENCODING:gzip ", "If-None-Match: *", 'If-None-Match: "x"',
    "If-None-Match: W/", "Range: bytes=0-4", "Range: bytes=9-2", "If-Range: x",
    "Expect: 100-continue",
    "Expect: x", "Connection: keep-alive", "Connection: close", "Connection: upgrade",
    "Connection: keep-alive, upgrade", "Upgrade: websocket", "Upgrade: h2c", "Content-Length: 0",
    "Content-Length: 4", "Transfer-Encoding: chunked", "Transfer-Encoding: ",
    "Transfer-Encoding: x",
    "Authorization: Bearer bad", f"Authorization: Bearer {GOOD}", "Authorization: Basic eA==",
    "Host: gate.example", "Host: other", "Cookie: a=b", "Cookie: __Host-gate=x", "X-A: b",
    "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7", "X-Request-Id: abc",
    "Sec-Fetch-Site: cross-site", "Sec-Purpose: prefetch", "User-Agent: \xff\xfe", "TE: trailers",
    "Trailer: x", "Origin: https://evil.example", "Referer: https://evil.example/", "X: a\r\n b",
    "X : a", "no colon", "X-\x00: a", ": a", "A" * 9000 + ": b", "X: " + "b" * 9000,
    *(f"X-{number}: y" for number in range(3)),
)  # fmt: skip
REQUEST_LINES = (
    "GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ",
    " GET / HTTP/1.1", "\tGET / HTTP/1.1", "\nGET / HTTP/1.1", "\r\nGET / HTTP/1.1", "",
    "GET / HTTP/1.0", "GET / HTTP/0.9", "GET / HTTP/2.0", "GET / HTTP/1.9", "GET / HTTP/1.10",
    "GET / http/1.1", "GET / HTTQ/1.1", "GET / RTSP/1.0", "GET /", "GET", "get / HTTP/1.1",
    "GETT / HTTP/1.1", "G / HTTP/1.1", "POST / HTTP/1.1", "CONNECT / HTTP/1.1", "PRI * HTTP/2.0",
    "GET / HTTP/1.1\nX: y", "GET / HTTP/1.1\nHost: other", "GET / HTTP/1.1\rX: y",
    "GET /\nX: y", "GET /\rx HTTP/1.1", "GET /\x00 HTTP/1.1", "GET / HTTP/1.1\x00",
    "GET / HTTP/1.1\r\nContent-Length: 4", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
    "GET / HTTP/1.1\r\nConnection: close", "GET / HTTP/1.1\r\nHost: other",
    "GET / HTTP/1.1\r\nIf-None-Match: *", "GET / HTTP/1.1\r\n X: y", "GET / HTTP/1.1\r\nno colon",
    "GET / HTTP/1.1\r\n\r\nGET /guide/ HTTP/1.1",
    *(f"GET /{'a' * length} HTTP/1.1" for length in (7000, 7800, 7900, 8100, 8180, 8190, 9000)),
)  # fmt: skip
FETCHES = [
    (site, mode, dest)
    for site in ("same-origin", "same-site", "cross-site", "none", "")
    for mode in ("navigate", "no-cors", "cors")
    for dest in ("document", "iframe", "image", "empty")
]


def same(told: tuple[bytes, bytes]) -> None:
    assert told[0] == told[1]
    assert b"HTTP/1." in told[0]


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
