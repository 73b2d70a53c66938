"""What the gate knows about one request on its way through the corridor.

The scope holds nothing that may not be logged, but for the cookie to write, which the log does not
read.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from gate.outcome import Outcome
from gate.trace import Trace

_IDS_AT_ONCE = 256
_ids: list[str] = []

if hasattr(os, "register_at_fork"):  # or all workers would count out the same ids
    os.register_at_fork(after_in_child=_ids.clear)

_STATED_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def request_id(stated: Sequence[str], *, trusted: bool) -> str:
    """The id that a trusted proxy stated, if it is one and harmless; else a new one."""
    if trusted and len(stated) == 1 and _STATED_ID.fullmatch(stated[0]):
        return stated[0]
    return new_request_id()


def new_request_id() -> str:
    """32 lower-case hexadecimal digits: unique, not secret."""
    if not _ids:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        _ids.extend(digits[start : start + 32] for start in range(0, len(digits), 32))
    return _ids.pop()


@dataclass(slots=True)
class Scope:
    """Filled by the corridor, read by the headers' prepare hook and by the access log."""

    path: str
    """The path as it came, without its query."""
    address: str
    """The client's, as the trusted proxies state it."""
    scheme: str = "http"
    """The scheme by which this client addressed the gate."""
    host: str = ""
    """The host by which this client addressed the gate, with its port."""
    begun: float = 0.0
    """When the corridor was entered, by `time.perf_counter`; 0 where it never was."""
    request_id: str = field(default_factory=new_request_id)
    trace: Trace | None = None
    """The request's span; None while nobody has asked for one."""
    outcome: Outcome | None = None
    subject: str | None = None
    verify_ms: float | None = None
    handed_on: bool = False
    """Whether another worker answered, and told the log."""
    cookieless: bool = False
    """Whether the session came in the path: then nobody may keep anything of the answer."""
    renewal: str | None = field(default=None, repr=False)
    """Set-Cookie for a page that is answered with 200 or 304."""


SCOPE = web.RequestKey("scope", Scope)
"""The key of the scope in a request."""


def scope_of(request: web.BaseRequest) -> Scope | None:
    """The request's scope; None where it never reached the corridor (not parsable)."""
    return request.get(SCOPE)
