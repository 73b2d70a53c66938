"""The same job as a good engineer's first version would do it, with what aiohttp offers:
aiohttp-session's encrypted cookie, a dict for verdicts, `add_static`, the default access log.

`python -m bench.straightforward PORT SITE VERIFY_URL`
"""

import logging
import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import aiohttp_session
import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session.cookie_storage import EncryptedCookieStorage

from bench.rules import HEADERS, TTL

SITE = web.AppKey("site", Path)
VERIFY_URL = web.AppKey("verify_url", str)
CLIENT = web.AppKey("client", aiohttp.ClientSession)
VERDICTS = web.AppKey("verdicts", dict[str, tuple[float, bool]])


async def is_good(app: web.Application, token: str) -> bool:
    """The verdict about a token, remembered for `TTL` seconds."""
    verdicts = app[VERDICTS]
    known = verdicts.get(token)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    async with app[CLIENT].get(app[VERIFY_URL], params={"token": token}) as response:
        good = response.status == 200 and (await response.json())["active"] is True
    verdicts[token] = (time.monotonic() + TTL, good)
    return good


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who brings a good token, or brought one before."""
    token = request.query.get("token")
    if token is not None:
        if not await is_good(request.app, token):
            raise web.HTTPUnauthorized
        session = await aiohttp_session.new_session(request)
        session["token"] = token
        return web.Response(status=303, headers={"Location": request.path})
    session = await aiohttp_session.get_session(request)
    if "token" not in session or not await is_good(request.app, session["token"]):
        raise web.HTTPUnauthorized
    return await handler(request)


async def folder(request: web.Request) -> web.FileResponse:
    """`add_static` has no index pages."""
    site = request.app[SITE]
    page = (site / request.match_info.get("path", "") / "index.html").resolve()
    if not page.is_relative_to(site) or not page.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(page)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """The headers that every answer wears."""
    response.headers.update(HEADERS)


async def client(app: web.Application) -> AsyncIterator[None]:
    """One connection pool to the verify API."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
        app[CLIENT] = session
        yield


def make_app(site: Path, verify_url: str) -> web.Application:
    """The whole application."""
    storage = EncryptedCookieStorage(
        secrets.token_bytes(32), max_age=3600, secure=True, samesite="None"
    )
    app = web.Application(middlewares=[aiohttp_session.session_middleware(storage), guard])
    app[SITE] = site.resolve()
    app[VERIFY_URL] = verify_url
    app[VERDICTS] = {}
    app.cleanup_ctx.append(client)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", folder)
    app.router.add_get("/{path:.+}/", folder)
    app.router.add_static("/", site)
    return app


def main() -> None:
    """Serve on 127.0.0.1 until ended."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    app = make_app(Path(sys.argv[2]), sys.argv[3])
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, loop=loop)


if __name__ == "__main__":
    main()
