"""Holds connections open that have asked once: `python -m bench.holder PORT REQUEST-FILE COUNT`.

Says "held" when all are answered, and ends when its input does.
"""

import asyncio
import sys
from pathlib import Path

from bench.machine import allow_open_files

_AT_ONCE = 100
_QUIET = 1.0
"""Seconds for the server to come to rest."""


async def _ask(port: int, request: bytes, turn: asyncio.Semaphore) -> asyncio.StreamWriter:
    async with turn:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode("latin-1"))
        lines = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        await reader.readexactly(int(lines[0].partition(b":")[2]))
        return writer


async def _hold(port: int, request: bytes, count: int) -> None:
    turn = asyncio.Semaphore(_AT_ONCE)
    held = await asyncio.gather(*(_ask(port, request, turn) for _ in range(count)))
    await asyncio.sleep(_QUIET)
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for each in held:
        each.close()


def main() -> None:
    """Hold until the input ends."""
    allow_open_files()
    port, count = int(sys.argv[1]), int(sys.argv[3])
    asyncio.run(_hold(port, Path(sys.argv[2]).read_bytes(), count))


if __name__ == "__main__":
    main()
