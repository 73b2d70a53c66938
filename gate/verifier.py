"""Asks the verify API about a token: a `Verdict`, or `VerifyUnavailable`.

The API is somebody else's. Whatever it does that is not exactly a yes or a no, in time and within
bounds, is "cannot say". No reason that leaves this room holds the token or what the API sent.
"""

import asyncio
import json
import math
import ssl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from gate import __version__
from gate.cache import Verdict
from gate.settings import VerifySettings
from gate.tokens import Token

MAX_BODY_BYTES = 64 * 1024
"""More than any verdict needs; counted before and after decompression."""

RETRY_AFTER = 5
"""Seconds after which a reader may try again."""

_INFLATE_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class VerifyUnavailable(Exception):
    """The verify API cannot say. The message is a reason for the log; nothing may be concluded
    about the token."""

    def __init__(self, reason: str, *, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ApiVerifier:
    """The verify API of `[verify]`. Use it as an async context manager."""

    def __init__(self, settings: VerifySettings, *, session_expires: str = "") -> None:
        self._settings = settings
        self._judge = Judge(settings, session_expires)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"docs-gate/{__version__}",
            **{name: value.get_secret_value() for name, value in settings.headers.items()},
        }
        self._free = asyncio.Semaphore(settings.max_in_flight)
        self._queued = 0
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "ApiVerifier":
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls_context(self._settings)),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    async def verify(self, token: Token) -> Verdict:
        """Ask. Raises `VerifyUnavailable` within `timeout` seconds, waiting for a turn included."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                with self._in_queue():
                    await self._free.acquire()
                try:
                    return await self._ask(token)
                finally:
                    self._free.release()
        except TimeoutError:
            raise VerifyUnavailable("no answer in time") from None

    @contextmanager
    def _in_queue(self) -> Iterator[None]:
        if self._free.locked() and self._queued >= self._settings.max_queue:
            raise VerifyUnavailable("too many are waiting for an answer")
        self._queued += 1
        try:
            yield
        finally:
            self._queued -= 1

    async def _ask(self, token: Token) -> Verdict:
        assert self._client is not None, "used outside its context"
        try:
            async with self._client.request(
                self._settings.method,
                allow_redirects=False,
                proxy=self._settings.proxy or None,
                **self._question(token),
            ) as response:
                body = await _read(response) if response.status == 200 else b""
        except TimeoutError:
            raise VerifyUnavailable("no connection in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # the text of a client error may hold the URL, and so the token: only its kind is told
            raise VerifyUnavailable(f"asking failed: {type(error).__name__}") from None
        return self._judge(response.status, body)

    def _question(self, token: Token) -> dict[str, Any]:
        """Where the token goes: the arguments of the request that depend on it."""
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


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise VerifyUnavailable("the answer is too large")
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    return bytes(body) if coding == "identity" else _inflate(bytes(body), coding)


def _inflate(packed: bytes, coding: str) -> bytes:
    if coding not in _INFLATE_WINDOWS:
        raise VerifyUnavailable("the answer has a content coding that was not asked for")
    opener = zlib.decompressobj(_INFLATE_WINDOWS[coding])
    try:
        body = opener.decompress(packed, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise VerifyUnavailable("the answer does not decompress") from None
    if len(body) > MAX_BODY_BYTES:
        raise VerifyUnavailable("the answer is too large")
    if not opener.eof:
        raise VerifyUnavailable("the answer is cut off")
    return body


class Judge:
    """What an answer of the verify API means: a pure function of status and body.

    `session_expires` is the pointer of `[session] expires`.
    """

    def __init__(self, settings: VerifySettings, session_expires: str = "") -> None:
        self._active = Pointer(settings.active)
        self._subject = _optional(settings.subject)
        self._expires = _optional(settings.expires)
        self._session_expires = _optional(session_expires)

    def __call__(self, status: int, body: bytes) -> Verdict:
        """Raises `VerifyUnavailable` for all that is not exactly yes or no."""
        if status in (401, 403):
            return Verdict(active=False)
        if status != 200:
            raise VerifyUnavailable(f"the answer has status {status}")
        document = _parse(body)
        active = self._active.find(document)
        if active is False:
            return Verdict(active=False)
        if active is not True:
            raise VerifyUnavailable("the answer is neither true nor false at [verify] active")
        return Verdict(
            active=True,
            subject=_text(self._subject, document),
            expires=_time(self._expires, document),
            session_expires=_time(self._session_expires, document),
        )


def _optional(pointer: str) -> "Pointer | None":
    return Pointer(pointer) if pointer else None


def _text(pointer: "Pointer | None", document: object) -> str | None:
    found = pointer.find(document) if pointer else None
    if found is None or found is ABSENT:
        return None
    if isinstance(found, str):
        return found
    if type(found) is int:
        return str(found)
    raise VerifyUnavailable("the answer has no text where the subject should be")


def _time(pointer: "Pointer | None", document: object) -> float | None:
    found = pointer.find(document) if pointer else ABSENT
    if found is ABSENT:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not _is_finite(found):
        raise VerifyUnavailable("the answer has no finite number where the expiry should be")
    return float(found)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


ABSENT = object()
"""What a pointer finds where there is nothing: JSON's null is something."""


class Pointer:
    """A JSON pointer (RFC 6901). The text must be well-formed: settings.py sees to that."""

    def __init__(self, text: str) -> None:
        self._steps = [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]

    def find(self, document: object) -> object:
        """What it points at, or `ABSENT`."""
        for step in self._steps:
            if isinstance(document, dict) and step in document:
                document = document[step]
            elif isinstance(document, list) and _is_index(step, len(document)):
                document = document[int(step)]
            else:
                return ABSENT
        return document


def _is_index(step: str, length: int) -> bool:
    plain = step.isascii() and step.isdigit() and (step == "0" or step[0] != "0")
    return plain and len(step) < 10 and int(step) < length


def _parse(body: bytes) -> object:
    """Strict JSON (RFC 8259): UTF-8, no name twice, no NaN."""
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise VerifyUnavailable("the answer is not JSON") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def tls_context(settings: VerifySettings) -> ssl.SSLContext:
    """How to trust the verify API. Raises OSError or ssl.SSLError for unusable files."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.client_certificate:
        context.load_cert_chain(settings.client_certificate, settings.client_key)
    return context
