"""`gate serve` with verdicts remembered from the start: `python -m bench.warm_gate COUNT COOKIES
CONFIG`.

It is the real program but for two things: the verify API is not asked over a socket, because a
million questions would take too long, and it begins with COUNT good verdicts. Some of their readers
have a session, COOKIES at most and evenly spread, whose cookies are written beside the
configuration.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import web

from gate import app, parts, server
from gate.access import Access
from gate.cache import Verdict
from gate.config.load import load
from gate.session import SessionSeal
from gate.tokens import Token

FORM = "portal-token-of-reader-%07d-0123456789abcdef"


class Verifier:
    """Yes, at once."""

    async def verify(self, token: Token) -> Verdict:
        """For a subject named like the token, as long as the bench may take."""
        return Verdict(active=True, subject=f"user-{token.text}", expires=time.time() + 7200)


class Warm(Access):
    """The gate's own decision, with memories."""

    seal: SessionSeal
    made: "Warm"

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "verifier": Verifier()})
        Warm.seal, Warm.made = given["seal"], self

    async def fill(self, count: int, most: int, cookies: Path) -> None:
        """As if every reader had come in once."""
        every, sealed = max(1, count // most), []
        for number in range(count):
            decision = await self.admit(Token(FORM % number), None)
            if number % every == 0:
                assert decision.session is not None
                sealed.append(self.seal.set_cookie(decision.session).partition(";")[0])
        await asyncio.to_thread(cookies.write_text, json.dumps(sealed), "ascii")


def main() -> None:
    """Serve until ended."""
    count, most, config = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])

    async def fill(_: web.Application) -> None:
        await Warm.made.fill(count, most, config.with_suffix(".cookies"))

    def make_app(*given: Any, **named: Any) -> web.Application:
        made = app.make_app(*given, **named)
        made.on_startup.append(fill)
        return made

    with patch.object(parts, "Access", Warm), patch.object(server, "make_app", make_app):
        server.main(load(config, {}))


if __name__ == "__main__":
    main()
