"""Asks the verify API about a token: a `Verdict`, or `VerifyUnavailable`.

The API is somebody else's. Whatever it does that is not exactly a yes or a no, in time and within
bounds, is "cannot say". No reason that leaves this room holds the token or what the API sent.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from gate import __version__, behalf
from gate.cache import Verdict
from gate.config.settings import VerifySettings
from gate.tokens import Token
from gate.verify.breaker import LONGEST_PAUSE, Breaker
from gate.verify.cause import Cause
from gate.verify.client import client, read_body
from gate.verify.faults import cause_of
from gate.verify.judge import RETRY_AFTER, Judge, VerifyUnavailable
from gate.verify.listener import NOBODY, Listener

RESTING = "the verify API is given a rest after failures"

RETRY_PAUSE = 0.05, 0.2
"""Seconds, from and to, before the one retry of a question that got no answer."""


@dataclass(slots=True)
class _Asking:
    """A question under way: what it means if nothing more comes."""

    token: Token
    silence: Cause = Cause.SILENT


class ApiVerifier:
    """The verify API of `[verify]`. Use it as an async context manager."""

    def __init__(
        self,
        settings: VerifySettings,
        *,
        session_expires: str = "",
        clock: Callable[[], float] = time.monotonic,
        listener: Listener = NOBODY,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._judge = Judge(settings, session_expires)
        self._question = Question(settings)
        self.breaker = Breaker(clock)
        self._free = asyncio.Semaphore(settings.max_in_flight)
        self._queued = 0
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "ApiVerifier":
        self._client = client(self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def verify(self, token: Token) -> Verdict:
        """Ask. Raises `VerifyUnavailable` within `timeout` seconds, waiting for a turn included."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout
        with self._in_queue():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._free.acquire()
            except TimeoutError:
                raise VerifyUnavailable(Cause.NO_TURN, "no turn to ask came in time") from None
        try:
            return await self._ask_or_rest(token, deadline)
        finally:
            self._free.release()

    @contextmanager
    def _in_queue(self) -> Iterator[None]:
        if self.breaker.is_resting:
            pause = max(self.breaker.rest, 1)
            raise VerifyUnavailable(Cause.RESTING, RESTING, retry_after=pause)
        if self._free.locked() and self._queued >= self._settings.max_queue:
            raise VerifyUnavailable(Cause.QUEUE_FULL, "too many are waiting for an answer")
        self._queued += 1
        try:
            yield
        finally:
            self._queued -= 1

    async def _ask_or_rest(self, token: Token, deadline: float) -> Verdict:
        """Ask, unless the breaker says not to, and tell it how it went."""
        pause = self.breaker.wait()
        if pause > 0:
            raise VerifyUnavailable(Cause.RESTING, RESTING, retry_after=max(pause, 1))
        asking = _Asking(token)
        try:
            async with asyncio.timeout_at(deadline):
                verdict = await self._ask_again_once(asking)
        except AskedToWait as problem:
            self.breaker.paused(problem.seconds)
            raise
        except VerifyUnavailable:
            self.breaker.failed()
            raise
        except TimeoutError:
            self.breaker.failed()
            raise VerifyUnavailable(asking.silence, "no answer in time") from None
        except BaseException:
            self.breaker.abandoned()
            raise
        self.breaker.succeeded()
        return verdict

    async def _ask_again_once(self, asking: _Asking) -> Verdict:
        try:
            return await self._ask(asking)
        except NoAnswerCame:
            if not self.breaker.may_retry():
                raise
            await asyncio.sleep(random.uniform(*RETRY_PAUSE))  # noqa: S311 - spreads load
            return await self._ask(asking)

    async def _ask(self, asking: _Asking) -> Verdict:
        assert self._client is not None, "used outside its context"
        try:
            async with self._client.request(
                self._settings.method,
                allow_redirects=False,
                proxy=self._settings.proxy or None,
                **self._asked_for_somebody(asking.token),
            ) as response:
                asking.silence = Cause.BODY_SILENT
                await self._listener.answered(response)
                _obey(response)
                body = await read_body(response) if response.status == 200 else b""
        except TimeoutError:
            raise NoAnswerCame(Cause.CONNECT_TIMEOUT, "no connection in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # the text of a client error may hold the URL, and so the token: only its kind is told
            what = f"asking failed: {type(error).__name__}"
            kind = NoAnswerCame if _is_unheard(error, asking) else VerifyUnavailable
            raise kind(cause_of(error), what) from None
        if response.status == 200:
            self._listener.read(body)
        return self._judge(response.status, body)

    def _asked_for_somebody(self, token: Token) -> dict[str, Any]:
        """The question, and on whose behalf; `[verify] headers` of the same names win."""
        question = self._question(token)
        headers = CIMultiDict(behalf.headers())
        headers.update(question["headers"])
        return {**question, "headers": headers}


def _obey(response: aiohttp.ClientResponse) -> None:
    """429, and a 503 that says when to come back, are wishes and no failures (RFC 6585, 4)."""
    wish = response.headers.get("Retry-After")
    if response.status == 429 or (response.status == 503 and wish is not None):
        raise AskedToWait(wish or "")


def _is_unheard(error: Exception, asking: _Asking) -> bool:
    """Whether there was no connection, or it ended before an answer's head."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ServerDisconnectedError):
        return True
    return asking.silence is Cause.SILENT and cause_of(error) is Cause.RESET


class NoAnswerCame(VerifyUnavailable):
    """There was no connection, or it ended before an answer's head: it may be asked again."""


class AskedToWait(VerifyUnavailable):
    """The API wants to be left alone for `seconds`. A Retry-After that is no number counts as
    `RETRY_AFTER`: its date form would need the API's clock to be ours."""

    def __init__(self, wish: str) -> None:
        plain = wish.strip()
        known = plain.isascii() and plain.isdigit()
        self.seconds = min(float(plain) if known else RETRY_AFTER, LONGEST_PAUSE)
        what = "the verify API asks us to wait"
        super().__init__(Cause.BUSY, what, retry_after=max(self.seconds, 1))


class Question:
    """How a token is put to the API: the arguments of the request that depend on it."""

    def __init__(self, settings: VerifySettings) -> None:
        self._settings = settings
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"docs-gate/{__version__}",
            **{name: value.get_secret_value() for name, value in settings.headers.items()},
        }

    def __call__(self, token: Token) -> dict[str, Any]:
        """`url`, `headers` and, where the token goes into the body, `data`."""
        name, url, headers = self._settings.token_name, self._settings.url, dict(self._headers)
        question: dict[str, Any] = {"headers": headers}
        match self._settings.token_in:
            case "query":
                joint = "&" if "?" in url else "?"
                url = f"{url}{joint}{quote(name, safe='')}={quote(token.text, safe='')}"
            case "header":
                bearer = name.lower() == "authorization"
                headers[name] = f"Bearer {token.text}" if bearer else token.text
            case "form":
                question["data"] = urlencode({name: token.text}).encode("ascii")
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            case "json":
                question["data"] = json.dumps({name: token.text}).encode("ascii")
                headers["Content-Type"] = "application/json"
        return {"url": URL(url, encoded=True), **question}
