"""How the tests run a check, and what a portal may answer it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from gate.check.examine import examine
from gate.check.report import Report
from gate.clocks import CLOCKS, Clocks
from tests.conftest import make_settings
from tests.fakes import GOOD, FakeApi

Check = Callable[..., Awaitable[Report]]


def checker(api: FakeApi, root: Path) -> Check:
    """Run a check: `await check(token, clocks=…, section={…})`."""

    async def run(token: str | None = None, *, clocks: Clocks = CLOCKS, **sections: Any) -> Report:
        settings = make_settings(api, root, **sections)
        return await asyncio.to_thread(examine, settings, token=token, clocks=clocks)

    return run


def answering(
    good: Any, bad: Any = False, **options: Any
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An API that answers with one JSON to `GOOD` and another to all else."""

    async def answer(request: web.Request) -> web.StreamResponse:
        is_good = request.query.get("token") == GOOD
        return web.json_response(good if is_good else bad, **options)

    return answer


def found(report: Report, kind: str) -> list[str]:
    """What is said in all findings of a kind."""
    return [each.what for each in report.findings if each.kind == kind]
