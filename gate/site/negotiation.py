"""The pure rules of RFC 9110 that choose an answer: content coding, conditions, ranges.

Functions of header text; nothing here knows a request or a file.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

IDENTITY = "identity"
PREFERENCE = ("br", "gzip", IDENTITY)
"""What we choose among codings the client likes equally well: the smallest first."""

_QVALUE = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")')
_LARGEST = 10**18


@lru_cache(maxsize=1024)
def acceptable(header: str | None) -> tuple[str, ...]:
    """The codings of `PREFERENCE` a client accepts, best first (RFC 9110, section 12.5.3).

    `identity` is last even when refused, because an answer in it beats none. Without the header
    only `identity`: many clients that do not send it cannot decode anything.
    """
    if not header:
        return (IDENTITY,)
    weights = _weights(header)
    wildcard = weights.get("*", 0.0)
    # identity needs no mention to be acceptable, but ranks behind what was asked for
    defaults = dict.fromkeys(PREFERENCE, wildcard) | {IDENTITY: max(wildcard, 0.0001)}
    wanted = {coding: weights.get(coding, defaults[coding]) for coding in PREFERENCE}
    ranked = sorted(PREFERENCE, key=lambda coding: -wanted[coding])
    liked = [coding for coding in ranked if wanted[coding] > 0]
    return tuple(liked) if IDENTITY in liked else (*liked, IDENTITY)


def _weights(header: str) -> dict[str, float]:
    weights = {}
    for item in header.split(","):
        coding, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                value = value.strip()
                weight = float(value) if _QVALUE.fullmatch(value) else 0.0
        if coding:
            weights["gzip" if coding == "x-gzip" else coding] = weight
    return weights


def none_match(header: str, etag: str) -> bool:
    """Whether If-None-Match names this entity tag: weak comparison (RFC 9110, section 13.1.2)."""
    if header == etag:
        return True
    return header.strip() == "*" or etag in _ENTITY_TAG.findall(header)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `first` to `last`, both included, of a representation of `size` bytes."""

    first: int
    last: int
    size: int

    @property
    def content_range(self) -> str:
        """The Content-Range value of a 206."""
        return f"bytes {self.first}-{self.last}/{self.size}"


class Unsatisfiable(Exception):
    """The range lies outside the representation: 416."""


def single_range(range_header: str, if_range: str | None, etag: str, size: int) -> Span | None:
    """The one range to send, or None where the whole representation is the answer.

    None for several ranges, other units, malformed text, or an If-Range that is not exactly this
    strong entity tag; RFC 9110 (sections 14.2 and 13.1.5) lets a server ignore each of them.
    Raises `Unsatisfiable`.
    """
    if if_range is not None and if_range.strip() != etag:
        return None
    found = _RANGE.fullmatch(range_header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first_text, last_text = found.groups()
    if not first_text:
        first, last = max(size - _number(last_text), 0), size - 1
    else:
        first, last = _number(first_text), _number(last_text) if last_text else size - 1
        if last_text and last < first:
            return None
    if first >= size:
        raise Unsatisfiable
    return Span(first, min(last, size - 1), size)


def _number(digits: str) -> int:
    # no file is as large as what a client can write in 8 KiB of digits
    return int(digits) if len(digits) < len(str(_LARGEST)) else _LARGEST
