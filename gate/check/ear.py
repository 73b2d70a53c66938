"""What an API answered, and how long it took: heard while the gate asks."""

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp

from gate.check.mask import Mask
from gate.config.spelling import masked_url

_GLIMPSE = 4096
"""Bytes of an answer that is no 200: the gate reads nothing of it, people want to see it."""

_PATIENCE = 0.5
"""Seconds for that glimpse."""


class Ear:
    """A listener of the verifiers. `clock` is monotonic, in seconds."""

    def __init__(self, mask: Mask, clock: Callable[[], float]) -> None:
        self._mask = mask
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """A new question."""
        self.status: int | None = None
        """None where no answer began."""
        self.body: bytes | None = None
        """None where the gate did not get to read it whole."""
        self._glimpse = b""
        self._type = ""
        self.location = ""
        """Where a redirect leads to, without its query."""
        self._begun = self._clock()
        self.seconds = 0.0
        """How long the question took."""

    def end(self) -> None:
        """The question is answered, or was given up."""
        self.seconds = self._clock() - self._begun

    async def answered(self, response: aiohttp.ClientResponse) -> None:
        """The head of an answer is there."""
        self.status, self.body, self._glimpse = response.status, None, b""
        self._type = self._mask(response.headers.get("Content-Type", "no content type"))[:60]
        self.location = self._mask(_without_query(response.headers.get("Location", "")))[:200]
        if response.status != 200:
            with contextlib.suppress(aiohttp.ClientError, OSError, ValueError):
                async with asyncio.timeout(_PATIENCE):
                    self._glimpse = await response.content.read(_GLIMPSE)

    def read(self, body: bytes) -> None:
        """The body of a 200 is there."""
        self.body = body

    @property
    def is_html(self) -> bool:
        """Whether the answer says that it is a page for people."""
        return self._type.lower().startswith(("text/html", "application/xhtml"))

    @property
    def evidence(self) -> str:
        """What was heard, in one line."""
        took = f"{self.seconds * 1000:.0f} ms"
        if self.status is None:
            return f"no answer; given up after {took}"
        body = self._glimpse if self.body is None else self.body
        look = self._mask.look(body) if body else "no body" if self.body == b"" else ""
        return f"answer: {self.status}, {self._type}, in {took}{f': {look}' if look else ''}"


def _without_query(location: str) -> str:
    """A query may hold the token, or a portal's secret; a path tells enough."""
    short = location.partition("#")[0].partition("?")[0]
    return masked_url(short) if "://" in short else short
