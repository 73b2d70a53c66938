"""The secrets that open an operator's routes: shown in one Authorization header, compared in
constant time. They are no tokens, and never reach intake."""

import base64
import binascii
import hmac
from typing import Literal

from multidict import CIMultiDictProxy

Scheme = Literal["bearer", "basic"]


class Credential:
    """One secret. With Basic it is the password, and the user's name does not matter."""

    def __init__(self, secret: str, *schemes: Scheme) -> None:
        self._secret = secret.encode("utf-8")
        self._schemes = schemes

    def is_shown(self, headers: CIMultiDictProxy[str]) -> bool:
        """Whether a request shows it."""
        values = headers.getall("Authorization", ())
        scheme, _, given = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        shown = given.strip().encode("utf-8", "replace")
        if scheme.lower() == "basic":
            shown = _password(shown)
        known = hmac.compare_digest(shown, self._secret)
        return known and scheme.lower() in self._schemes


def _password(credentials: bytes) -> bytes:
    """Of Basic credentials (RFC 7617)."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
