"""The same site behind both doors, and what to ask them: whatever the bytes, they answer alike."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import Gate, cookie_of, lasting_gate
from tests.fakes import GOOD
from tests.raw import exchange

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


@asynccontextmanager
async def both_doors(folder: Path) -> AsyncIterator[Pair]:
    """The two gates, for as long as the context lasts."""
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
