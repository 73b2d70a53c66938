"""Signing in with several workers: a sign-in lives in the process that began it, with its secrets,
and a browser's next request may come to another one. That one hands the request on, over a socket
in the state folder, and the answer back.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from gate.scope import Scope

# those of one connection (RFC 9110, section 7.6.1), and what is stated anew
_NOT_HANDED_ON: Final = frozenset(
    {
        "connection",
        "expect",
        "forwarded",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-request-id",
    }
)
_MADE_HERE: Final = frozenset({"connection", "content-length", "date", "server"})
_TIMES: Final = aiohttp.ClientTimeout(total=None, sock_connect=1, sock_read=60)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The workers of a gate: which one this is, and the sockets of all, by their numbers. Whoever
    can connect there is believed like a trusted proxy."""

    number: int = 0
    places: tuple[Path, ...] = ()

    def new_id(self) -> str:
        """An id for a sign-in, which says where it lives."""
        return f"{self.number}-{secrets.token_hex(16)}"

    def home(self, flow_id: str | None) -> Path | None:
        """Where a sign-in lives, if that is another worker."""
        stated = (flow_id or "").partition("-")[0]
        number = int(stated) if stated.isdecimal() and stated.isascii() else self.number
        there = number != self.number and number < len(self.places)
        return self.places[number] if there else None


ALONE: Final = Neighbours()


async def hand_on(request: web.Request, scope: Scope, home: Path) -> web.StreamResponse | None:
    """The answer of the worker that listens at `home`, which tells the log of it; None where it
    does not answer."""
    response = None
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(home)),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=_TIMES,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            ) as session,
            session.request(
                request.method,
                URL(f"http://worker{request.rel_url.raw_path_qs}", encoded=True),
                headers=_asked(request, scope),
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as answer,
        ):
            response = _begun(answer)
            scope.handed_on = True
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
    except (aiohttp.ClientError, OSError, TimeoutError):
        if response is not None:  # what broke off breaks off here too, and the browser asks again
            response.force_close()
    return response


def _asked(request: web.Request, scope: Scope) -> Mapping[str, str]:
    headers = CIMultiDict(
        (name, value)
        for name, value in request.headers.items()
        if name.lower() not in _NOT_HANDED_ON
    )
    headers["X-Forwarded-For"] = scope.address
    headers["X-Forwarded-Proto"] = scope.scheme
    headers["X-Forwarded-Host"] = scope.host
    headers["X-Request-Id"] = scope.request_id
    return headers


def _begun(answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in _NOT_HANDED_ON | _MADE_HERE:
            response.headers.add(name, value)
    if answer.content_length is not None:
        response.content_length = answer.content_length
    return response
