"""The session and its seal: what a browser carries for a reader, encrypted.

Sealed with Fernet under the keys of one purpose: the newest seals, every one opens. Anything that
does not open is no session, never an error.
"""

import base64
import json
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from gate.tokens import Token, parse

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Opened sessions remembered: opening one costs more than all the rest of a warm request."""

MAX_SEALED_BYTES = 4096
"""Longer ones are not ours: they would fit into no cookie."""

_BLOCK = 16
_FERNET_BYTES = 1 + 8 + 16 + 32  # version, time, first block, HMAC

_SEALED = re.compile(r"[A-Za-z0-9_-]+={0,2}")


@dataclass(frozen=True, slots=True)
class Session:
    """What a browser's cookie holds. Times are Unix time in seconds."""

    id: str
    issued: float
    """When the token came in: the absolute limit counts from here and never moves."""
    renewed: float
    """When this cookie was written: the idle limit counts from here."""
    fingerprint: str
    """SHA-256 of its token."""
    token: Token | None = field(repr=False)
    """None for a ticket, which is not kept."""
    expires: float | None = None
    """The end that the verify API named, for tickets."""
    subject: str | None = None
    """For whom, for tickets: other sessions ask the verdict."""

    def holds(self, token: Token) -> bool:
        """Whether this is the session that the token made."""
        return secrets.compare_digest(self.fingerprint, token.fingerprint)


class Seal:
    """Seals and opens sessions under `keys`, 32 bytes each, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._opened: OrderedDict[str, Session] = OrderedDict()

    def seal(self, session: Session) -> str:
        """The session as text of URL-safe base64."""
        return self._fernet.encrypt(_dump(session)).decode("ascii")

    def length(self, session: Session) -> int:
        """How long the sealed text is, without sealing it: what Fernet puts around padded blocks of
        AES, in base64 (https://github.com/fernet/spec/blob/master/Spec.md)."""
        padded = (len(_dump(session)) // _BLOCK + 1) * _BLOCK
        return -(-(_FERNET_BYTES + padded) // 3) * 4

    def open(self, sealed: str, *, tell: bool = True) -> Session | None:
        """The session in a sealed text, or None. It may have run out. What does not open is told to
        the log, unless another does."""
        session = self._opened.get(sealed)
        if session is None:
            session = self._unseal(sealed, tell=tell)
            if session is not None:
                self._remember(sealed, session)
        return session

    def _unseal(self, sealed: str, *, tell: bool) -> Session | None:
        # Python's base64 opens endless spellings of one value, and each would be remembered
        if len(sealed) > MAX_SEALED_BYTES or _SEALED.fullmatch(sealed) is None:
            return None
        try:
            return _load(self._fernet.decrypt(sealed))
        except (InvalidToken, ValueError):
            if tell:
                log.debug("a session did not open")
            return None

    def _remember(self, sealed: str, session: Session) -> None:
        self._opened[sealed] = session
        if len(self._opened) > REMEMBERED:
            self._opened.popitem(last=False)


_FIELDS: Mapping[str, tuple[type, ...]] = {
    "i": (str,),
    "s": (int, float),
    "r": (int, float),
    "h": (str,),
    "t": (str, NoneType),
    "e": (int, float, NoneType),
    "u": (str, NoneType),
}


def _dump(session: Session) -> bytes:
    fields = {
        "i": session.id,
        "s": session.issued,
        "r": session.renewed,
        "h": session.fingerprint,
        "t": session.token and session.token.text,
        "e": session.expires,
        "u": session.subject,
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(kept, separators=(",", ":")).encode("utf-8")


def _load(plain: bytes) -> Session:
    """Raises ValueError for anything that `_dump` did not write."""
    fields = json.loads(plain)
    if not isinstance(fields, dict) or any(
        type(fields.get(name)) not in kinds for name, kinds in _FIELDS.items()
    ):
        raise ValueError("not a session of this version")
    text = fields.get("t")
    token = None if text is None else parse(text)
    if token is None and text is not None:
        raise ValueError("not a token")
    return Session(
        id=fields["i"],
        issued=fields["s"],
        renewed=fields["r"],
        fingerprint=fields["h"],
        token=token,
        expires=fields.get("e"),
        subject=fields.get("u"),
    )
