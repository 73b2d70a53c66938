"""JSON as RFC 8259 wants it: what two parsers might read differently is no JSON here."""

import json
import re

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(raw: bytes) -> object:
    """The document: UTF-8, no name twice in one object, no NaN, no half of a surrogate pair.

    Raises ValueError, without the text in its message.
    """
    try:
        document: object = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        if _SURROGATE.search(raw):
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
