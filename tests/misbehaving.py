"""A verify API that misbehaves, as a process of its own on a real socket.

`python -m tests.misbehaving` prints its port and serves until its standard input ends. A line on
standard input sets the mode and is answered, once the mode holds, by the number of questions that
the mode before got. Every mode is one way in which somebody else's API goes wrong.
"""

import asyncio
import gzip
import sys
from collections.abc import Awaitable, Callable

Mode = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MODES: dict[str, Mode] = {}


def _answer(status: str, body: bytes = b"true", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _says(raw: bytes) -> Mode:
    async def mode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return mode


def _says_then_hangs(raw: bytes) -> Mode:
    async def mode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        await reader.read()

    return mode


def _never_ends(head: bytes, chunk: bytes) -> Mode:
    async def mode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return mode


def _drips(start: bytes, drop: bytes = b" ", pause: float = 0.05) -> Mode:
    async def mode(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(pause)

    return mode


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    import socket
    import struct

    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


for _status in ("201 Created", "202 Accepted", "206 Partial Content", "300 Multiple Choices",
                "400 Bad Request", "404 Not Found", "418 Teapot", "500 Oh no", "501 Never",
                "502 Bad Gateway", "503 Busy", "504 Timeout", "599 Odd", "999 Odder"):  # fmt: skip
    MODES[f"status {_status[:3]} with a yes in it"] = _says(_answer(_status))
MODES["status 204"] = _says(b"HTTP/1.1 204 No Content\r\n\r\n")
MODES["status 304"] = _says(b"HTTP/1.1 304 Not Modified\r\n\r\n")
for _status in ("301 Moved", "302 Found", "303 See Other", "307 Again", "308 For ever"):
    MODES[f"redirect {_status[:3]}"] = _says(_answer(_status, b"true", "Location: /elsewhere"))
MODES["busy, come back in 1 s"] = _says(_answer("429 Busy", b"", "Retry-After: 1"))
MODES["busy, come back never"] = _says(_answer("429 Busy", b"", "Retry-After: 99999999999"))
MODES["busy, come back some day"] = _says(_answer("503 Busy", b"", "Retry-After: soon"))

for _name, _body in {
    "an empty body": b"",
    "spaces": b"   ",
    "HTML": b"<!doctype html><title>Sign in</title>",
    "a Python True": b"True",
    "a text": b'"true"',
    "a number": b"1",
    "null": b"null",
    "a list": b"[true]",
    "an object": b'{"active": true}',
    "two documents": b"true false",
    "garbage behind": b"true;",
    "a name twice": b'{"a": 1, "a": 2}',
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "deep nesting": b"[" * 60_000,
    "bad UTF-8": b'"\xff"',
    "UTF-16": "true".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbftrue",
    "a NUL": b"true\0",
    "a huge number": b"9" * 60_000,
    "half an object": b'{"active": tru',
}.items():
    MODES[_name] = _says(_answer("200 OK", _body))

MODES["too large"] = _says(_answer("200 OK", b"true" + b" " * 70_000))
_gzip = gzip.compress(b"true")
_bomb = gzip.compress(b" " * 50_000_000 + b"true")
MODES["a bomb"] = _says(_answer("200 OK", _bomb[:65_000], "Content-Encoding: gzip"))
MODES["cut off gzip"] = _says(_answer("200 OK", _gzip[:-3], "Content-Encoding: gzip"))
MODES["no gzip at all"] = _says(_answer("200 OK", b"true", "Content-Encoding: gzip"))
MODES["an unknown coding"] = _says(_answer("200 OK", b"true", "Content-Encoding: rot13"))
_head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MODES["endless chunks"] = _never_ends(_head, b"4000\r\n" + b" " * 0x4000 + b"\r\n")
MODES["an endless body"] = _never_ends(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 0x4000)
MODES["endless headers"] = _never_ends(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100)
MODES["one endless header"] = _never_ends(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 0x4000)
MODES["endless 100 Continue"] = _drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001)
MODES["a broken chunk"] = _says(_head + b"zz\r\ntrue\r\n")
MODES["cut off chunks"] = _says(_head + b"4\r\ntr")
MODES["less body than promised"] = _says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntrue")
MODES["two lengths"] = _says(
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ntrue"
)
MODES["not HTTP"] = _says(b"SSH-2.0-OpenSSH_9.2\r\n")
MODES["HTTP/0.9"] = _says(b"true")
MODES["a status that is no number"] = _says(b"HTTP/1.1 OK 200\r\n\r\ntrue")
MODES["hangs before a byte"] = _says_then_hangs(b"")
MODES["hangs in the headers"] = _says_then_hangs(b"HTTP/1.1 200 OK\r\nContent-")
MODES["hangs before the body"] = _says_then_hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
MODES["hangs in the body"] = _says_then_hangs(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntr")
MODES["drips headers"] = _drips(b"HTTP/1.1 200 OK\r\nX-A: ")
MODES["drips a body"] = _drips(b"HTTP/1.1 200 OK\r\n\r\ntrue")
MODES["resets"] = _reset
MODES["closes without a word"] = _close

WELL = {
    "yes": _says(_answer("200 OK", b"true")),
    "no": _says(_answer("200 OK", b"false")),
    "401": _says(_answer("401 Unauthorized", b"true")),
    "403": _says(_answer("403 Forbidden", b"true")),
    "yes, compressed": _says(_answer("200 OK", _gzip, "Content-Encoding: gzip")),
    "yes, chunked": _says(_head + b"4\r\ntrue\r\n0\r\n\r\n"),
    "yes, with a cookie": _says(_answer("200 OK", b"true", "Set-Cookie: a=b")),
    "yes, and 100 before it": _says(b"HTTP/1.1 100 Continue\r\n\r\n" + _answer("200 OK")),
}
"""Modes in which there is an answer."""


class Api:
    """Serves whatever mode is set, one question a connection."""

    def __init__(self) -> None:
        self.mode = "yes"
        self.count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.count += 1
            await (MODES | WELL)[self.mode](reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


async def main() -> None:
    """Serve, and obey standard input."""
    api = Api()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    say(server.sockets[0].getsockname()[1])
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked, api.count = api.count, 0
        api.mode = line.rstrip("\n")
        say(asked)


if __name__ == "__main__":
    asyncio.run(main())
