"""A verify API that says yes to everyone at /valid, no at /refused, and at /judged yes to tokens
that begin with "reader-": `python -m bench.verify_api PORT`."""

import sys

from aiohttp import web


async def verify(request: web.Request) -> web.Response:
    """Active, for a subject named like the token."""
    return web.json_response({"active": True, "sub": f"user-{request.query['token']}"})


async def refuse(request: web.Request) -> web.Response:
    """Not active, whoever it is."""
    return web.json_response({"active": False})


async def judge(request: web.Request) -> web.Response:
    """Active, or not, by how the token begins."""
    good = request.query["token"].startswith("reader-")
    return await (verify if good else refuse)(request)


def main() -> None:
    """Serve on 127.0.0.1 until ended."""
    app = web.Application()
    app.router.add_get("/valid", verify)
    app.router.add_get("/refused", refuse)
    app.router.add_get("/judged", judge)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
