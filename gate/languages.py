"""Which language to answer in: what the reader's browser asks for, of what there is."""

import re
from collections.abc import Collection

DEFAULT = "en"

_RANGE = re.compile(
    r"\s*(\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*"
)
# languages that are spoken under several names, or written in several scripts of which we have one
_KIN = {"zh": "zh-hans"}


def language_of(accept_language: str | None, available: Collection[str]) -> str:
    """The best of `available` (language tags, RFC 5646) for an Accept-Language header (RFC 9110,
    section 12.5.4); `DEFAULT` where none suits. A range is shortened until it fits (RFC 4647,
    section 3.4)."""
    known = {tag.lower(): tag for tag in available}
    for wanted in _ranges(accept_language or ""):
        while wanted:
            found = known.get(wanted) or known.get(_KIN.get(wanted, ""))
            if found is not None:
                return found
            wanted = wanted.rpartition("-")[0]
    return DEFAULT


def _ranges(header: str) -> list[str]:
    """The ranges of a header, best first; those with q=0 and `*` say nothing about a language."""
    found = []
    for part in header[:512].split(","):
        match = _RANGE.fullmatch(part)
        if match is not None and match[1] != "*":
            found.append((float(match[2] or 1), match[1].lower()))
    return [tag for quality, tag in sorted(found, key=lambda each: -each[0]) if quality > 0]
