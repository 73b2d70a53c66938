"""`gate serve` that says how many tasks it has: `python -m bench.counted_gate CONFIG`.

It is the real program, with one task more: every second that one writes their number into a file
beside the configuration.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import web

from gate import app as parts
from gate import server
from gate.config.load import load

PERIOD = 1.0


def tasks_file(config: Path) -> Path:
    """Where the number of tasks is."""
    return config.with_suffix(".tasks")


def main() -> None:
    """Serve until ended."""
    config = Path(sys.argv[1])

    async def count() -> None:
        file = tasks_file(config)
        while True:
            file.with_suffix(".new").write_text(str(len(asyncio.all_tasks())), "ascii")
            file.with_suffix(".new").replace(file)
            await asyncio.sleep(PERIOD)

    async def counted(app: web.Application) -> AsyncIterator[None]:
        counting = asyncio.create_task(count())
        yield
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting

    def make_app(*given: Any, **named: Any) -> web.Application:
        app = parts.make_app(*given, **named)
        app.cleanup_ctx.append(counted)
        return app

    with patch.object(server, "make_app", make_app):
        server.main(load(config, {}))


if __name__ == "__main__":
    main()
