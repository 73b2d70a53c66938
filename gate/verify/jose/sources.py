"""Where the keys come from: a file that is read once, or a JWKS address that is asked again.

Keys from an address are kept while it does not answer, but not for ever, and no token, however
made, makes the gate ask more often than is written here.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from gate import __version__, behalf
from gate.config.settings import VerifySettings
from gate.verify.api import AskedToWait
from gate.verify.breaker import Breaker
from gate.verify.cause import Cause, of_status
from gate.verify.client import client, read_body
from gate.verify.faults import cause_of
from gate.verify.jose.keys import MAX_JWKS_BYTES, KeySet, of_file, of_jwks
from gate.verify.judge import VerifyUnavailable
from gate.verify.listener import NOBODY, Listener
from gate.verify.strict_json import NotJson

log = logging.getLogger(__name__)

REFRESH_AFTER = 300.0
"""Seconds after which the keys are fetched anew in the background: so long a key that was taken
out may go on being good."""

GONE_AFTER = 3600.0
"""Seconds without confirmation after which keys are not used any more."""

PAUSE = 30.0
"""Seconds between two fetches that unknown keys cause, and between two attempts to refresh."""


class KeySource(Protocol):
    """What the verifier wants of either kind."""

    @property
    def known(self) -> KeySet:
        """The keys of the last look, however old."""

    async def keys(self) -> KeySet:
        """Keys that may be used. Raises `VerifyUnavailable`."""

    async def newer(self) -> KeySet:
        """Keys after another look, for a token that names none of those known; without a look,
        the very same set. Raises `VerifyUnavailable` where nobody can know."""

    async def open(self) -> None:
        """Begin. Raises OSError or ValueError for files that cannot be used."""

    async def close(self) -> None:
        """End."""


class KeyFile:
    """Keys from `[jwt] key_file`."""

    def __init__(self, path: Path, algorithms: Sequence[str]) -> None:
        self._path = path
        self._algorithms = algorithms
        self.known = KeySet()

    async def open(self) -> None:
        raw = await asyncio.to_thread(self._path.read_bytes)
        self.known = of_file(raw, self._algorithms)
        _warn(self.known)

    async def close(self) -> None:
        pass

    async def keys(self) -> KeySet:
        return self.known

    async def newer(self) -> KeySet:
        return self.known


class KeyAddress:
    """Keys from the JWKS at `[verify] url`."""

    def __init__(
        self,
        settings: VerifySettings,
        algorithms: Sequence[str],
        breaker: Breaker,
        clock: Callable[[], float],
        listener: Listener = NOBODY,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._silence = Cause.SILENT
        self._algorithms = algorithms
        self._breaker = breaker
        self._clock = clock
        self.known = KeySet()
        self._confirmed = self._attempted = self._looked = -math.inf
        self._failed = False
        self._flight: asyncio.Task[None] | None = None
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._client = client(self._settings)

    async def close(self) -> None:
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])
        if self._client is not None:
            await self._client.close()

    async def keys(self) -> KeySet:
        now = self._clock()
        if not self.known or now - self._confirmed >= GONE_AFTER:
            await self._fetched()
        elif now - self._confirmed >= REFRESH_AFTER and now - self._attempted >= PAUSE:
            self._fetch()
        return self.known

    async def newer(self) -> KeySet:
        now = self._clock()
        if self._flight is None and now - self._looked < PAUSE:
            if self._failed:
                what = "the key is unknown, and the JWKS could not be fetched"
                raise VerifyUnavailable(Cause.KEY_UNKNOWN, what)
            return self.known
        self._looked = now
        await self._fetched()
        return self.known

    async def _fetched(self) -> None:
        await asyncio.shield(self._fetch())

    def _fetch(self) -> asyncio.Task[None]:
        """The fetch under way, or a new one."""
        if self._flight is None:
            self._flight = asyncio.get_running_loop().create_task(self._fly())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # a refresh may fail unheard; asyncio would complain

    async def _fly(self) -> None:
        pause = self._breaker.wait()
        if pause > 0:
            what = "the JWKS address is given a rest after failures"
            raise VerifyUnavailable(Cause.RESTING, what, retry_after=max(pause, 1))
        began = self._attempted = self._clock()
        self._failed = True
        try:
            async with asyncio.timeout(self._settings.timeout):
                found = self._read(await self._get())
        except AskedToWait as problem:
            self._breaker.paused(problem.seconds)
            raise
        except VerifyUnavailable as problem:
            self._breaker.failed()
            what = f"the JWKS could not be fetched: {problem}"
            raise VerifyUnavailable(problem.cause, what) from None
        except TimeoutError:
            self._breaker.failed()
            what = "the JWKS could not be fetched: no answer in time"
            raise VerifyUnavailable(self._silence, what) from None
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        self.known, self._confirmed, self._failed = found, began, False

    async def _get(self) -> bytes:
        assert self._client is not None, "used outside its context"
        self._silence = Cause.SILENT
        try:
            async with self._client.get(
                URL(self._settings.url, encoded=True),
                headers=self._headers(),
                allow_redirects=False,
                proxy=self._settings.proxy or None,
            ) as response:
                self._silence = Cause.BODY_SILENT
                await self._listener.answered(response)
                wish = response.headers.get("Retry-After")
                if response.status == 429 or (response.status == 503 and wish is not None):
                    raise AskedToWait(wish or "")
                if response.status != 200:
                    what = f"the answer has status {response.status}"
                    raise VerifyUnavailable(of_status(response.status), what)
                body = await read_body(response, MAX_JWKS_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = f"asking failed: {type(error).__name__}"
            raise VerifyUnavailable(cause_of(error), what) from None
        self._listener.read(body)
        return body

    def _headers(self) -> CIMultiDict[str]:
        """With the ids of the request that is waited for; `[verify] headers` win."""
        headers = CIMultiDict(behalf.headers())
        headers.update(
            {
                "Accept": "application/jwk-set+json, application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"docs-gate/{__version__}",
            }
        )
        fixed = self._settings.headers
        headers.update({name: value.get_secret_value() for name, value in fixed.items()})
        return headers

    def _read(self, body: bytes) -> KeySet:
        try:
            found = of_jwks(body, self._algorithms)
        except ValueError as problem:
            cause = problem.cause if isinstance(problem, NotJson) else Cause.NO_JWKS
            raise VerifyUnavailable(cause, "the answer is no JWKS") from None
        if found.suspicious != self.known.suspicious:
            _warn(found)
        if not found:
            self.known = found  # the keys of before are none any more
            raise VerifyUnavailable(Cause.NO_USABLE_KEY, "the JWKS has no usable key")
        return found


def _warn(found: KeySet) -> None:
    for what in found.suspicious:
        log.warning("JWKS: %s", what)
