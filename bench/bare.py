"""The yardstick: an aiohttp `Application` that answers fixed bytes and does nothing else.

`python -m bench.bare PORT ANSWERS`; the file holds, by path, the answers that the gate gave.
"""

import base64
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from multidict import CIMultiDict

from bench.servers import Answer

_MADE_BY_AIOHTTP = ("date", "content-length")


def save(answers: dict[str, Answer], file: Path) -> None:
    """Write the answers for the program to read."""
    plain = {
        path: {**asdict(answer), "body": base64.b64encode(answer.body).decode("ascii")}
        for path, answer in answers.items()
    }
    file.write_text(json.dumps(plain), "utf-8")


def _route(path: str, answer: dict[str, Any]) -> web.RouteDef:
    status, body = answer["status"], base64.b64decode(answer["body"])
    headers = CIMultiDict(
        (name, value)
        for name, value in answer["headers"].items()
        if name.lower() not in _MADE_BY_AIOHTTP
    )

    async def fixed(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    return web.get(path, fixed)


def main() -> None:
    """Serve on 127.0.0.1 until ended."""
    answers = json.loads(Path(sys.argv[2]).read_text("utf-8"))
    app = web.Application()
    app.add_routes([_route(path, answer) for path, answer in answers.items()])
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
