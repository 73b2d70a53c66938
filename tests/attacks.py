"""Hostile input: a selection of our own that always runs, and public lists where they lie beside
the checkout (../shared/suites)."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

SUITES = Path(__file__).resolve().parents[2] / "shared" / "suites"

REDIRECTS = (
    "//evil.example", "///evil.example", "////evil.example//", "/\\evil.example",
    "\\\\evil.example", "/\\/evil.example", "\\/\\/evil.example", "/%09/evil.example",
    "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example",
    "/ /evil.example", "/.//evil.example", "/..//evil.example", "/guide/..//evil.example",
    "/;@evil.example", "/%2f%2fevil.example", "/%5cevil.example", "/%5c%5cevil.example",
    "%2f%2fevil.example", "//evil.example/%2e%2e", "https://evil.example", "https:evil.example",
    "https:/evil.example", "http:///evil.example", "//127.0.0.1:80@evil.example",
    "//evil.example#/guide/", "//evil.example?/guide/", "//evil%E3%80%82example",
    "//。evil.example", "javascript:alert(1)", "java%0d%0ascript:alert(1)", "data:text/html,evil",
    "/%0d%0aLocation:%20//evil.example", "/guide/%0d%0aSet-Cookie:%20a=b",
    "/guide/?a=\r\nSet-Cookie: a=b", "/\0//evil.example", "/guide/@evil.example",
    "//[::1]@evil.example", "/\u2028/evil.example", "/\udcff/evil.example",
)  # fmt: skip
"""Return addresses that must not be followed off the site."""

TRAVERSALS = (
    "/../outside.txt", "/../../../../../../etc/passwd", "/guide/../../outside.txt",
    "/..%2foutside.txt", "/%2e%2e/outside.txt", "/%2e%2e%2foutside.txt", "/..%5coutside.txt",
    "/..\\outside.txt", "/%252e%252e%252foutside.txt", "/..%c0%afoutside.txt",
    "/%c0%ae%c0%ae/outside.txt", "/..%u2215outside.txt", "/....//outside.txt", "/.../outside.txt",
    "/..;/outside.txt", "/guide/..%00/outside.txt", "/%00/../outside.txt", "/outside.txt%00.html",
    "/../site2/index.html", "/../site/index.html", "/.env", "/%2eenv", "/./.env", "/guide/../.env",
    "/.git/config", "/.git%2fconfig", "/leak.txt", "/leak.txt/", "//etc/passwd", "/file:///etc/passwd",
    "/C:/boot.ini", "/C:\\boot.ini", "/proc/self/environ", "/~root", "/con", "/index.html::$DATA",
    "/index.html.bak", "/" + "a" * 300, "/" + "../" * 60 + "etc/passwd", "/" + "%2e%2e/" * 60,
)  # fmt: skip
"""Paths that must not lead out of the site, or to what is hidden in it."""

_HOST = b"Host: @@HOST@@\r\n"
_POST = b"POST / HTTP/1.1\r\n" + _HOST
_NEXT = b"GET / HTTP/1.1\r\n" + _HOST + b"\r\n"

PROBES: Mapping[str, Sequence[bytes]] = {
    "bare LF": [b"GET / HTTP/1.1\nHost: x\n\n"],
    "no host": [b"GET / HTTP/1.1\r\n\r\n"],
    "two hosts": [b"GET / HTTP/1.1\r\n" + _HOST + _HOST + b"\r\n"],
    "empty host": [b"GET / HTTP/1.1\r\nHost:\r\n\r\n"],
    "host with userinfo": [b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"],
    "host with path": [b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    "two hosts in one": [b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
    "folded header": [b"GET / HTTP/1.1\r\n" + _HOST + b"X: a\r\n b\r\n\r\n"],
    "space before colon": [b"GET / HTTP/1.1\r\n" + _HOST + b"X : a\r\n\r\n"],
    "fragment": [b"GET /#a HTTP/1.1\r\n" + _HOST + b"\r\n"],
    "asterisk": [b"GET * HTTP/1.1\r\n" + _HOST + b"\r\n"],
    "authority": [b"CONNECT a:443 HTTP/1.1\r\n" + _HOST + b"\r\n"],
    "bytes in target": [b"GET /\xff\xfe HTTP/1.1\r\n" + _HOST + b"\r\n"],
    "tab in target": [b"GET /\t/a HTTP/1.1\r\n" + _HOST + b"\r\n"],
    "NUL in header": [b"GET / HTTP/1.1\r\n" + _HOST + b"X: \x00\r\n\r\n"],
    "long target": [b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n"],
    "long cookie": [b"GET / HTTP/1.1\r\n" + _HOST + b"Cookie: a=" + b"a" * 100_000 + b"\r\n\r\n"],
    "HTTP/0.9": [b"GET /\r\n"],
    "HTTP/2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "half a request": [b"GET / HTTP/1.1\r\nHost: x"],
    "half a body": [_POST + b"Content-Length: 10\r\n\r\nhalf"],
    "two lengths": [_POST + b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nPING" + _NEXT],
    "odd length": [_POST + b"Content-Length: +4\r\n\r\nPING" + _NEXT],
    "length and chunks": [
        _POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        _NEXT,
    ],
    "length and chunks, smuggled": [
        _POST + b"Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _NEXT
    ],
    "empty coding": [_POST + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello"],
    "unknown coding": [_POST + b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello"],
    "odd chunk": [_POST + b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\nX", _NEXT],
    "huge chunk": [_POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF0\r\nhello\r\n"],
    "upgrade": [b"GET / HTTP/1.1\r\n" + _HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
    "expectation": [_POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"],
    "two in a row": [_NEXT, _NEXT],
}
"""Requests that a parser may trip over: the bytes to send, each step after an answer."""


def lines(own: Sequence[str], name: str) -> dict[str, Sequence[str]]:
    """Our own selection, and the public list where it lies."""
    file = SUITES / name
    if not file.exists():
        return {"our own": own}
    return {"our own": own, name: [line for line in _text(file).split("\n") if line]}


def probes() -> dict[str, Mapping[str, Sequence[bytes]]]:
    """The same for raw requests."""
    file = SUITES / "http11probe.json"
    if not file.exists():
        return {"our own": PROBES}
    cases = {
        case["id"]: [base64.b64decode(step) for step in case["steps_b64"]]
        for case in json.loads(_text(file))
    }
    return {"our own": PROBES, file.name: cases}


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8", "surrogateescape")
