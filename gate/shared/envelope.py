"""What goes to the shared server: sealed, and with its own name inside.

The server is believed nothing. Whoever can write to it can take values away, bring old ones back
and move them about; none of that makes a yes that the verify API did not give to that very token
within `ttl`.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from gate.cache import Verdict
from gate.state.revocations import Revocation, revocation_of

NAME_BYTES = 16
"""Of a keyed hash: enough that no two revocations meet."""

_VERDICT, _REVOCATION, _NUDGE = b"v", b"r", b"n"


class Envelope:
    """Seals with the newest of `keys` and opens with every one: 32 bytes each, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._naming = hmac.digest(keys[0], b"docs-gate revocation", hashlib.sha256)

    def name(self, revocation: Revocation) -> bytes:
        """What the server calls a revocation. It changes with the newest key, so that a revocation
        is written anew, sealed by that key, before the old one goes."""
        digest = hmac.digest(self._naming, revocation.line(), hashlib.sha256)
        return digest[:NAME_BYTES].hex().encode("ascii")

    def seal_verdict(self, key: bytes, verdict: Verdict) -> bytes:
        """A verdict for one cache key, with the time when it was asked for."""
        fields = {
            "key": key.hex(),
            "subject": verdict.subject,
            "expires": verdict.expires,
            "session_expires": verdict.session_expires,
            "asked": verdict.asked,
        }
        return self._fernet.encrypt(_VERDICT + json.dumps(fields).encode("ascii"))

    def open_verdict(self, key: bytes, sealed: bytes) -> Verdict | None:
        """The yes that was sealed for this cache key; None for anything else."""
        plain = self._open(_VERDICT, sealed)
        try:
            return None if plain is None else _verdict(key, json.loads(plain))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def seal_revocation(self, revocation: Revocation) -> bytes:
        """A revocation, as a value and as a message."""
        return self._fernet.encrypt(_REVOCATION + revocation.line())

    def open_revocation(self, sealed: bytes) -> Revocation | None:
        """The revocation that was sealed; None for anything else."""
        line = self._open(_REVOCATION, sealed)
        return None if line is None else revocation_of(line)

    def seal_nudge(self) -> bytes:
        """The message that there is something new to read."""
        return self._fernet.encrypt(_NUDGE)

    def is_nudge(self, sealed: bytes) -> bool:
        """Whether it is that message."""
        return self._open(_NUDGE, sealed) is not None

    def _open(self, what: bytes, sealed: bytes) -> bytes | None:
        try:
            plain = self._fernet.decrypt(sealed)
        except InvalidToken:
            return None
        return plain[1:] if plain[:1] == what else None


def _verdict(key: bytes, fields: dict[str, Any]) -> Verdict:
    """Raises for anything that `seal_verdict` did not write for this key."""
    if not hmac.compare_digest(fields["key"], key.hex()):
        raise ValueError("sealed for another key")
    return Verdict(
        active=True,
        subject=None if fields["subject"] is None else str(fields["subject"]),
        expires=_moment(fields["expires"]),
        session_expires=_moment(fields["session_expires"]),
        asked=float(fields["asked"]),
    )


def _moment(value: float | None) -> float | None:
    return None if value is None else float(value)
