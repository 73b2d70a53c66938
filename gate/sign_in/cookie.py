"""The cookie that binds a sign-in to the browser that began it. It holds an id and its end, signed:
so a sign-in that a restart ended is told from a value that somebody made up."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from aiohttp import web
from multidict import CIMultiDictProxy

NAME = "__Host-gate-flow"
_LABEL = b"flow\0"


class FlowCookie:
    """`keys` are those of this purpose alone, newest first; `clock` is the wall clock."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float]) -> None:
        self._keys = tuple(keys)
        self._clock = clock

    def put(self, response: web.StreamResponse, flow_id: str, lifetime: float) -> None:
        """Let a response bind its browser to a sign-in, for `lifetime` seconds."""
        end = int(self._clock() + lifetime) + 1
        stated = f"{flow_id}.{end}"
        value = f"{stated}.{_mac(self._keys[0], stated)}"
        response.set_cookie(
            NAME,
            value,
            path="/",
            secure=True,
            httponly=True,
            samesite="Lax",
            max_age=max(1, int(lifetime)),
        )

    def of(self, headers: CIMultiDictProxy[str]) -> str | None:
        """The id of the sign-in that a request is bound to; None for none, and for what we did not
        sign or what has run out."""
        pairs = "; ".join(headers.getall("Cookie", ())).split(";")
        named = (pair.strip(" \t").partition("=") for pair in pairs)
        values = [value for name, _, value in named if name == NAME]
        if len(values) != 1 or not values[0].isascii():
            return None
        stated, _, mac = values[0].rpartition(".")
        if not any(hmac.compare_digest(_mac(key, stated), mac) for key in self._keys):
            return None
        flow_id, _, end = stated.partition(".")
        return flow_id if int(end) > self._clock() else None


def _mac(key: bytes, stated: str) -> str:
    return hmac.new(key, _LABEL + stated.encode("ascii"), hashlib.sha256).hexdigest()
