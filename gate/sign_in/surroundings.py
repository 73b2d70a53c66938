"""What the sign-in handlers share: their part of the gate, and how their pages leave it."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gate.access import Access
from gate.admission import Admission, RecentIntakes
from gate.answers import Answers
from gate.intake import AllowedOrigins
from gate.intake import Reader as TokenReader
from gate.scope import SCOPE
from gate.session import SessionSeal
from gate.sign_in.pages import Reader
from gate.site.current import CurrentSite

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
"""What these pages may load and do; nobody may frame them, so that nobody's click is stolen."""

_ALONE: Final = "; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the handlers share with the rest of the gate. `patience` is in seconds."""

    current: CurrentSite
    access: Access
    admission: Admission
    seal: SessionSeal
    reader: TokenReader
    origins: AllowedOrigins
    answers: Answers
    recent: RecentIntakes
    patience: float


def html(status: int, body: bytes) -> web.Response:
    """A page of these, with the policy that holds for it."""
    return web.Response(
        status=status,
        body=body,
        headers={
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": POLICY + _ALONE,
        },
    )


def retry_after(response: web.Response, seconds: int | str) -> web.Response:
    response.headers["Retry-After"] = str(seconds)
    return response


def reader_of(request: web.Request) -> Reader:
    return Reader(request.headers.get("Accept-Language"), request[SCOPE].request_id)
