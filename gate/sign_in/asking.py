"""The client of the authorizer's HTTP API: bounded in time and size, and silent about secrets."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from gate import __version__
from gate.config.sign_in import QrSettings
from gate.sign_in.progress import BadAnswer, Unreachable
from gate.verify import strict_json
from gate.verify.client import client, read_body
from gate.verify.faults import cause_of
from gate.verify.judge import ABSENT, VerifyUnavailable

MAX_IN_FLIGHT = 64
"""Questions at one time: a thousand who wait must not be a thousand connections."""

_PASSING = frozenset({408, 425, 429})
_FORM = "application/x-www-form-urlencoded"


class Said(NamedTuple):
    """An answer: its status, and its JSON or `ABSENT`."""

    status: int
    document: object

    @property
    def is_passing(self) -> bool:
        """Whether the status speaks of the server's state alone, so that asking again may help."""
        return self.status >= 500 or self.status in _PASSING


class Api:
    """Use it as an async context manager. Keeps no cookies and follows no redirects."""

    def __init__(self, settings: QrSettings) -> None:
        self._settings = settings
        self._turns = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._client: aiohttp.ClientSession | None = None
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"docs-gate/{__version__}",
            **{name: value.get_secret_value() for name, value in settings.headers.items()},
        }

    async def __aenter__(self) -> "Api":
        self._client = client(self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def post_form(self, url: str, fields: Mapping[str, str], **headers: str) -> Said:
        """POST a form. Raises `Unreachable`."""
        body = urlencode(fields).encode("ascii")
        return await self.ask("POST", url, body, {"Content-Type": _FORM, **headers})

    async def ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Said:
        """One request within `timeout`, waiting for a turn included. Raises `Unreachable`."""
        try:
            async with asyncio.timeout(self._settings.timeout), self._turns:
                return await self._ask(method, url, body, {**self._headers, **headers})
        except TimeoutError:
            raise Unreachable("no answer in time") from None

    async def _ask(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Said:
        assert self._client is not None, "used outside its context"
        try:
            async with self._client.request(
                method,
                URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._settings.proxy or None,
            ) as response:
                return Said(response.status, _json(await read_body(response)))
        except VerifyUnavailable as problem:
            raise Unreachable(str(problem)) from None
        except TimeoutError:
            raise Unreachable("no connection in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # the text of a client error may hold the address, and so the transaction's id
            raise Unreachable(f"asking failed: {cause_of(error).value}") from None


def _json(body: bytes) -> object:
    try:
        return strict_json.loads(body)
    except strict_json.NotJson:
        return ABSENT


def text_of(found: object, what: str) -> str:
    """A text, or a whole number as text. Raises `BadAnswer`, naming `what` was looked for."""
    if isinstance(found, str) and found:
        return found
    if type(found) is int:
        return str(found)
    raise BadAnswer(f"the answer has no {what}")
