"""How the APIs of other people are reached: connections, trust, and bodies within bounds."""

import ssl
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import aiohttp

from gate.verify.cause import Cause
from gate.verify.judge import MAX_BODY_BYTES, VerifyUnavailable, inflate


class Reach(Protocol):
    """The keys of a section that say how an API is reached."""

    @property
    def connect_timeout(self) -> float: ...
    @property
    def ca_file(self) -> Path | None: ...
    @property
    def client_certificate(self) -> Path | None: ...
    @property
    def client_key(self) -> Path | None: ...


def client(settings: Reach) -> aiohttp.ClientSession:
    """An HTTP client that keeps no cookies, follows no environment and unpacks nothing itself."""
    reuse = aiohttp.TraceConfig()
    reuse.on_connection_reuseconn.append(_note_reuse)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls_context(settings)),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout),
        auto_decompress=False,
        trust_env=False,
        trace_configs=[reuse],
        middlewares=[_again_if_ended],
    )
    # aiohttp would ask again by itself after any lost connection, without budget or pause; its own
    # test client turns that off in the same way
    session._retry_connection = False
    return session


_is_reused: ContextVar[bool] = ContextVar("is_reused", default=False)
"""Whether the request of this task goes over a connection that an earlier one left open."""


async def _note_reuse(*_: object) -> None:
    _is_reused.set(True)


async def _again_if_ended(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """A server may end a connection that was left open while the next request is on its way
    (RFC 9112, 9.5). That is no failure: it is sent again at once, at last over a new one."""
    while True:
        _is_reused.set(False)
        try:
            return await send(request)
        except aiohttp.ClientConnectionError:
            if not _is_reused.get():
                raise


async def read_body(response: aiohttp.ClientResponse, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body, decompressed. Raises `VerifyUnavailable` past `limit` bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise VerifyUnavailable(Cause.BODY_TOO_LARGE, "the answer is too large")
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    return bytes(body) if coding == "identity" else inflate(bytes(body), coding, limit)


def tls_context(settings: Reach) -> ssl.SSLContext | bool:
    """How to trust the verify API; True for aiohttp's own way, by what the system trusts: to read
    that takes a tenth of a second. Raises OSError or ssl.SSLError for unusable files."""
    if not settings.ca_file and not settings.client_certificate:
        return True
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.client_certificate:
        # without a password OpenSSL would ask the terminal for that of an encrypted key
        context.load_cert_chain(settings.client_certificate, settings.client_key, password="")
    return context
