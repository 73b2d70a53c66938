"""The same job as a first sketch would do it: Flask's signed cookie, a dict for verdicts,
`send_from_directory`; under gunicorn with threads.
"""

import json
import secrets
import time
from urllib.parse import quote
from urllib.request import urlopen

from flask import Flask, Response, abort, redirect, request, send_from_directory, session
from werkzeug.wrappers import Response as Answer

from bench.rules import HEADERS, TTL

VERDICTS: dict[str, tuple[float, bool]] = {}


def is_good(verify_url: str, token: str) -> bool:
    """The verdict about a token, remembered for `TTL` seconds."""
    known = VERDICTS.get(token)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    with urlopen(f"{verify_url}?token={quote(token)}", timeout=3) as response:
        good = json.load(response)["active"] is True
    VERDICTS[token] = (time.monotonic() + TTL, good)
    return good


def make_app(site: str, verify_url: str) -> Flask:
    """The whole application."""
    app = Flask("sketch", static_folder=None)
    app.secret_key = secrets.token_bytes(32)
    app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="None")

    def guard() -> Answer | None:
        token = request.args.get("token")
        if token is not None:
            if not is_good(verify_url, token):
                abort(401)
            session["token"] = token
            return redirect(request.path, 303)
        if "token" not in session or not is_good(verify_url, session["token"]):
            abort(401)
        return None

    def file(path: str = "") -> Response:
        name = f"{path}index.html" if path == "" or path.endswith("/") else path
        return send_from_directory(site, name)

    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    app.before_request(guard)
    app.after_request(add_headers)
    app.add_url_rule("/", view_func=file)
    app.add_url_rule("/<path:path>", view_func=file)
    return app
