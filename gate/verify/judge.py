"""What the verify API's answers mean: pure functions of status and body.

An answer is exactly a yes, exactly a no, or "cannot say" (`VerifyUnavailable`).
"""

import math
import zlib
from typing import TypeGuard

from gate.cache import Verdict
from gate.config.settings import VerifySettings
from gate.verify import strict_json
from gate.verify.cause import Cause, of_status

MAX_BODY_BYTES = 64 * 1024
"""More than any verdict needs; counted before and after decompression."""

RETRY_AFTER = 5
"""Seconds after which a reader may try again."""

NO = Verdict(active=False)

_INFLATE_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class VerifyUnavailable(Exception):
    """The verify API cannot say. `cause` is why, the message is a reason for the log; nothing may
    be concluded about the token."""

    def __init__(self, cause: Cause, reason: str, *, retry_after: float = RETRY_AFTER) -> None:
        super().__init__(reason)
        self.cause = cause
        self.retry_after = math.ceil(retry_after)


class Judge:
    """What an answer of the verify API means: a pure function of status and body.

    `session_expires` is the pointer of `[session] expires`; a token whose `scope` lacks one of the
    space-separated names in `scope` is no good.
    """

    def __init__(
        self, settings: VerifySettings, session_expires: str = "", scope: str = ""
    ) -> None:
        self._active = Pointer(settings.active)
        self._claims = Claims(settings, session_expires)
        self._scope = Scope(scope, "scope")
        # RFC 7662, section 2.3: there a 401 is about our own credentials, not about the token
        self._introspection = settings.preset == "introspection"

    def __call__(self, status: int, body: bytes) -> Verdict:
        """Raises `VerifyUnavailable` for all that is not exactly yes or no."""
        if status in (401, 403):
            if self._introspection:
                raise VerifyUnavailable(
                    Cause.OWN_CREDENTIALS,
                    f"the answer has status {status}: it does not take the gate's own credentials",
                )
            return NO
        if status != 200:
            raise VerifyUnavailable(of_status(status), f"the answer has status {status}")
        try:
            return self._of(strict_json.loads(body))
        except Unreadable as problem:
            raise VerifyUnavailable(problem.cause, f"the answer has {problem}") from None
        except strict_json.NotJson as problem:
            raise VerifyUnavailable(problem.cause, "the answer is not JSON") from None

    def _of(self, document: object) -> Verdict:
        active = self._active.find(document)
        if active is False:
            return NO
        if active is not True:
            raise VerifyUnavailable(
                _neither(active), "the answer is neither true nor false at [verify] active"
            )
        return self._claims.verdict(document) if self._scope.covers(document) else NO


def _neither(found: object) -> Cause:
    """What stands where true or false should."""
    if found is ABSENT:
        return Cause.ACTIVE_MISSING
    match found:
        case None:
            return Cause.ACTIVE_NULL
        case str():
            return Cause.ACTIVE_TEXT
        case int() | float():
            return Cause.ACTIVE_NUMBER
    return Cause.ACTIVE_STRUCTURE


class Unreadable(ValueError):
    """A claim is there and is not what it must be. The message completes "the answer has …"."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause


class Claims:
    """A yes with what the configured pointers find; no other claim is kept."""

    def __init__(self, settings: VerifySettings, session_expires: str = "") -> None:
        self._subject = _optional(settings.subject)
        self._expires = _optional(settings.expires)
        self._session_expires = _optional(session_expires)

    def verdict(self, document: object) -> Verdict:
        """Raises `Unreadable`."""
        return Verdict(
            active=True,
            subject=_text(self._subject, document),
            expires=_time(self._expires, document, Cause.EXPIRES_TYPE),
            session_expires=_time(self._session_expires, document, Cause.SESSION_EXPIRES_TYPE),
        )


class Scope:
    """The space-separated names of `wanted`, looked for where `claims` say (RFC 8693, 4.2)."""

    def __init__(self, wanted: str, *claims: str) -> None:
        self._wanted = frozenset(wanted.split())
        self._claims = claims

    def covers(self, document: object) -> bool:
        """Whether the document's scope has every wanted name. Raises `Unreadable`."""
        if not self._wanted:
            return True
        if not isinstance(document, dict):
            return False
        found: set[str] = set()
        for claim in self._claims:
            match document.get(claim, ""):
                case str(text):
                    found.update(text.split(" "))
                case list(names) if all(isinstance(name, str) for name in names):
                    found.update(names)
                case _:
                    raise Unreadable(Cause.SCOPE_TYPE, "no text where the scope should be")
        return self._wanted <= found


def _optional(pointer: str) -> "Pointer | None":
    return Pointer(pointer) if pointer else None


def _text(pointer: "Pointer | None", document: object) -> str | None:
    found = pointer.find(document) if pointer else None
    if found is None or found is ABSENT:
        return None
    if isinstance(found, str):
        return found
    if type(found) is int:
        return str(found)
    raise Unreadable(Cause.SUBJECT_TYPE, "no text where the subject should be")


def _time(pointer: "Pointer | None", document: object, cause: Cause) -> float | None:
    found = pointer.find(document) if pointer else ABSENT
    if found is ABSENT:
        return None
    if not is_time(found):
        raise Unreadable(cause, "no finite number where the expiry should be")
    return float(found)


def is_time(value: object) -> TypeGuard[float]:
    """Whether it is a finite number, as a NumericDate must be (RFC 7519, 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


ABSENT = object()
"""What a pointer finds where there is nothing: JSON's null is something."""


class Pointer:
    """A JSON pointer (RFC 6901). The text must be well-formed: settings.py sees to that."""

    def __init__(self, text: str) -> None:
        self._steps = [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]

    def find(self, document: object) -> object:
        """What it points at, or `ABSENT`."""
        for step in self._steps:
            if isinstance(document, dict) and step in document:
                document = document[step]
            elif isinstance(document, list) and _is_index(step, len(document)):
                document = document[int(step)]
            else:
                return ABSENT
        return document


def _is_index(step: str, length: int) -> bool:
    plain = step.isascii() and step.isdigit() and (step == "0" or step[0] != "0")
    return plain and len(step) < 10 and int(step) < length


def inflate(packed: bytes, coding: str, limit: int = MAX_BODY_BYTES) -> bytes:
    """Decompress a body. Raises `VerifyUnavailable`; memory stays within `limit`."""
    if coding not in _INFLATE_WINDOWS:
        what = "the answer has a content coding that was not asked for"
        raise VerifyUnavailable(Cause.UNKNOWN_CODING, what)
    opener = zlib.decompressobj(_INFLATE_WINDOWS[coding])
    try:
        body = opener.decompress(packed, limit + 1)
    except zlib.error:
        raise VerifyUnavailable(Cause.BODY_COMPRESSED, "the answer does not decompress") from None
    if len(body) > limit:
        raise VerifyUnavailable(Cause.BODY_BOMB, "the answer is too large")
    if not opener.eof:
        raise VerifyUnavailable(Cause.BODY_COMPRESSED, "the answer is cut off")
    return body
