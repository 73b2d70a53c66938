"""Hearing what an API answers, beside the verifier that judges it."""

from typing import Protocol

import aiohttp


class Listener(Protocol):
    """Whoever wants to hear what is answered, `gate check` for one. It raises nothing."""

    async def answered(self, response: aiohttp.ClientResponse) -> None:
        """The head of an answer is there. The body of a 200 must be left to the gate."""

    def read(self, body: bytes) -> None:
        """The body of a 200 is there, decompressed."""


class _Nobody:
    async def answered(self, response: aiohttp.ClientResponse) -> None:
        pass

    def read(self, body: bytes) -> None:
        pass


NOBODY: Listener = _Nobody()
