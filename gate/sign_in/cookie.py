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
        values = _values(headers)
        if len(values) != 1 or not self._is_ours(values[0]):
            return None
        flow_id, end, _ = values[0].split(".")
        return flow_id if int(end) > self._clock() else None

    def is_made_up(self, headers: CIMultiDictProxy[str]) -> bool:
        """Whether a request brings something in this cookie's name that we never signed."""
        return not all(map(self._is_ours, _values(headers)))

    def _is_ours(self, value: str) -> bool:
        stated, _, mac = value.rpartition(".")
        return value.isascii() and any(
            hmac.compare_digest(_mac(key, stated), mac) for key in self._keys
        )


def _values(headers: CIMultiDictProxy[str]) -> list[str]:
    pairs = "; ".join(headers.getall("Cookie", ())).split(";")
    named = (pair.strip(" \t").partition("=") for pair in pairs)
    return [value for name, _, value in named if name == NAME]


def _mac(key: bytes, stated: str) -> str:
    return hmac.new(key, _LABEL + stated.encode("ascii"), hashlib.sha256).hexdigest()
