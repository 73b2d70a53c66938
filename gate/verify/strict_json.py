"""JSON as RFC 8259 wants it: what two parsers might read differently is no JSON here."""

import codecs
import json
import re

from gate.verify.cause import Cause

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJson(ValueError):
    """A text that is no JSON, with the cause. The message does not hold the text."""

    def __init__(self, cause: Cause) -> None:
        super().__init__("not JSON")
        self.cause = cause


def loads(raw: bytes) -> object:
    """The document: UTF-8, no name twice in one object, no NaN, no half of a surrogate pair.

    Raises `NotJson`, a ValueError.
    """
    try:
        document: object = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        if _SURROGATE.search(raw):
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except NotJson as problem:
        raise NotJson(problem.cause) from None
    except UnicodeError:
        raise NotJson(Cause.NOT_UTF8) from None
    except RecursionError:
        raise NotJson(Cause.TOO_DEEP) from None
    except ValueError:
        raise NotJson(_kind(raw)) from None
    return document


def _kind(raw: bytes) -> Cause:
    """What it seems to be instead."""
    text = raw.lstrip()
    if not text:
        return Cause.EMPTY_BODY
    if text.startswith(codecs.BOM_UTF8):
        return Cause.BYTE_ORDER_MARK
    return Cause.HTML if text.startswith(b"<") else Cause.NOT_JSON


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson(Cause.NAME_TWICE)
    return found


def _no_constant(name: str) -> object:
    raise NotJson(Cause.NOT_FINITE)
