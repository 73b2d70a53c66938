"""Requests gone wrong in random ways, put to both doors: what one of them answers, the other must.

`python -m tests.fuzzing --minutes 30` goes on for so long, from a seed that it prints; the bytes of
what differs are printed as well, and are what a test is made of. The tests do a short run of it.
"""

import argparse
import asyncio
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.attacks import TRAVERSALS, probes
from tests.doors import CSS, ODD_HEADERS, PATHS, REQUEST_LINES, Pair, both_doors, get
from tests.raw import statuses

MOST_BYTES = 20_000
PIECES = (
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\0", b" ", b"\t", b":", b",", b";", b"%", b"%00",
    b"?token=x", b"&", b"#", b"/", b"//", b"..", b"\\", b"\xff", b"\xc3\xa9", b"\x7f", b"HTTP/1.1",
    b"HTTP/1.0", b"GET / ", b"HEAD ", b"POST ", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"Cookie: ",
    b"Cookie: a=b\r\n", b"Host: x\r\n",
    b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"Range: bytes=0-3\r\n", b"If-None-Match: *\r\n", b"Authorization: Bearer x\r\n",
)  # fmt: skip


_END = b"\r\n\r\n"
_SECRET = re.compile(rb"gAAAA[\w=-]*")  # a session, in what an error quotes


def seeds() -> list[bytes]:
    """What random changes begin with."""
    plain = [get(path) for path in (*PATHS, *TRAVERSALS)]
    plain += [get("/", header) for header in ODD_HEADERS]
    plain += [get(path, method="HEAD") for path in ("/", CSS, "/guide/")]
    lines = [get("/").replace("GET / HTTP/1.1", line, 1) for line in REQUEST_LINES]
    known = [each.encode("latin-1", "replace") for each in plain + lines]
    return known + [
        step for group in probes().values() for steps in group.values() for step in steps
    ]


def changed(chance: random.Random, known: list[bytes]) -> bytes:
    """One or more of them, with a few random changes."""
    data = bytearray(b"".join(chance.choices(known, k=chance.choice((1, 1, 1, 2, 3)))))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        _change(chance, data, known)
    return bytes(data[:MOST_BYTES])


def _change(chance: random.Random, data: bytearray, known: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 1, 2, 5, 40)))
    how = chance.randrange(6)
    if how == 0:
        data[at:end] = b""
    elif how == 1:
        data[at:at] = data[at:end] * chance.choice((1, 2, 50))
    elif how == 2:
        data[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
    elif how == 3:
        other = chance.choice(known)
        cut = chance.randrange(len(other) + 1)
        data[at:at] = other[cut : cut + chance.choice((3, 30, 300))]
    elif how == 4:
        data[at:end] = bytes(data[at:end]).swapcase()
    else:
        data[at:at] = chance.choice(PIECES)


def requests(seed: int) -> Iterator[bytes]:
    """One after the other, without an end."""
    chance, known = random.Random(seed), seeds()
    while True:
        yield changed(chance, known)


async def differing(pair: Pair, data: bytes) -> str:
    """What each door answers, where that is not the same.

    aiohttp parses all that came before it answers any of it, and says 400 to all of it; the fast
    door has answered by then what was good and came first, as aiohttp answers that by itself.
    """
    fast, slow = await _told(pair, data)
    if not slow:  # aiohttp closes what it could not read in time, as on a machine that stood still
        fast, slow = await _told(pair, data)
    if fast == slow:
        return ""
    if slow.startswith(b"HTTP/1.0 400 ") and fast.endswith(slow):
        first = fast.removesuffix(slow)
        both = await _told(pair, _leading(data, len(statuses(first))))
        if both[0] == both[1] and both[1].startswith(first):
            return ""
    return f"{data!r}\n  fast: {fast!r}\n  slow: {slow!r}\n"


async def _told(pair: Pair, data: bytes) -> list[bytes]:
    return [_SECRET.sub(b"*", each) for each in await pair.told(data)]


def _leading(data: bytes, count: int) -> bytes:
    """So many requests without a body, from the begin."""
    *leading, _ = data.split(_END, count)
    return b"".join(each + _END for each in leading)


async def _go_on(minutes: float, seed: int, folder: Path) -> int:
    end, tried, found = time.monotonic() + minutes * 60, 0, 0
    answers = requests(seed)
    async with both_doors(folder) as pair:
        while time.monotonic() < end:
            pair.fast.lines.raw = pair.slow.lines.raw = b""  # nobody reads them, and they grow
            several = [next(answers) for _ in range(32)]
            for problem in await asyncio.gather(*(differing(pair, each) for each in several)):
                tried += 1
                if problem:
                    found += 1
                    sys.stdout.write(problem)
    sys.stdout.write(f"{tried} from seed {seed}: {found} differ\n")
    return 1 if found else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=30)
    options.add_argument("--seed", type=int, default=random.randrange(10**9))
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as own:
        sys.exit(asyncio.run(_go_on(given.minutes, given.seed, Path(own))))
