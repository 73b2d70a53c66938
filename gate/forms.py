"""Reads the body of a POST: form or JSON, bounded in size and time, every name and value."""

import asyncio
import json
from urllib.parse import parse_qsl

from aiohttp import web

MAX_FORM_BYTES = 32 * 1024
"""Room for a token and a `next`, each percent-encoded."""

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

_MAX_FIELDS = 100

Fields = list[tuple[str, object]]


class UnreadableForm(Exception):
    """A body that we cannot read. The message is for whoever wrote the caller."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def read_fields(
    request: web.Request, *, patience: float, kinds: tuple[str, ...] = (FORM, JSON)
) -> Fields:
    """The fields of the body, names that come twice included. `patience` is in seconds.

    Raises `UnreadableForm`, and what aiohttp raises for a body over `MAX_FORM_BYTES`.
    """
    if request.content_type not in kinds:
        raise UnreadableForm(415, f"send the body as {' or '.join(kinds)}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnreadableForm(415, "send the body without a content coding")
    try:
        async with asyncio.timeout(patience):
            body = await request.read()
    except TimeoutError:
        raise UnreadableForm(400, "the body did not arrive in time") from None
    except (ConnectionError, web.RequestPayloadError) as problem:
        # aiohttp's stream keeps the exception, whose traceback keeps the stream and all else of
        # the request: that would be there until the collector's next look at everything
        problem.__traceback__ = None
        # gone, or not HTTP: perhaps nobody reads the answer, but the log tells of it
        raise UnreadableForm(400, "the body did not arrive whole") from None
    try:
        text = body.decode("utf-8")
        return _json_fields(text) if request.content_type == JSON else _form_fields(text)
    except (ValueError, RecursionError):
        raise UnreadableForm(400, "the body cannot be read") from None


def _form_fields(text: str) -> Fields:
    pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    return [(name, value) for name, value in pairs]


def _json_fields(text: str) -> Fields:
    pairs: Fields = []

    def note(found: Fields) -> dict[str, object]:
        pairs[:] = found  # the outermost object is finished last
        return dict(found)

    if not isinstance(json.loads(text, object_pairs_hook=note), dict):
        raise ValueError("not an object")
    return pairs
