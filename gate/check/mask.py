"""Looks at what the API sent that tell no secret: not the token, not the gate's own secrets, and
of the API's texts no more than one needs to recognise them."""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import BaseModel, SecretStr

from gate.config.spelling import MASK, URL_WITH_SECRET
from gate.verify import strict_json

LONGEST_LOOK = 120
"""Characters of a body that are shown."""

_READ = 4096  # bytes of a body that are looked at, where it is not JSON
_LONGEST_TEXT = 5  # "true", "false", "yes" and "none" tell something, and no secret is so short
_SHORTEST_SECRET = 4  # shorter ones are none, and would mask half the report
_TELLING = re.compile(r"[A-Za-z0-9+/_\-.~%=]{16,}")  # may be a token, a key or a session


class Mask:
    """Takes secrets out of texts. What it returns can be printed: control characters are escaped.

    `secrets` are taken out however they are spelt: as they are, percent-encoded, or with a
    backslash before each slash, as some write JSON.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {each for secret in secrets if secret for each in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)) or "(?!)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        masked = self._secrets.sub(MASK, text)
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in masked)

    def look(self, body: bytes) -> str:
        """A short look at a body: of JSON the shape, of anything else the beginning."""
        try:
            text = json.dumps(self.shape(strict_json.loads(body)), ensure_ascii=False)
        except (ValueError, RecursionError):
            text = self._secrets.sub(MASK, body[:_READ].decode("utf-8", "backslashreplace"))
            text = _TELLING.sub(MASK, text)
        text = self(text)
        return text if len(text) <= LONGEST_LOOK else f"{text[:LONGEST_LOOK]}…"

    def shape(self, document: object) -> object:
        """A JSON document without its texts; its names are masked like any text."""
        match document:
            case dict():
                return {self(name): self.shape(value) for name, value in document.items()}
            case list():
                return [self.shape(value) for value in document]
            case str() if len(document) > _LONGEST_TEXT:
                return MASK
        return document


def _spellings(secret: str) -> set[str]:
    quoted = json.dumps(secret)[1:-1]
    plain = {secret, quoted, secret.replace("/", "\\/"), quoted.replace("/", "\\/")}
    return plain | {quote(secret, safe=""), quote(secret), unquote(secret)}


def secrets_of(section: BaseModel) -> Iterator[str]:
    """Every secret in settings: of the fields that hold one, and within their URLs."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if URL_WITH_SECRET in field.metadata:
            yield from _in_url(value)
        elif isinstance(value, BaseModel):
            yield from secrets_of(value)
        else:
            yield from _in_value(value)


def _in_value(value: object) -> Iterator[str]:
    match value:
        case SecretStr() if len(text := value.get_secret_value()) >= _SHORTEST_SECRET:
            yield text
            # of "Basic …" and "Bearer …" an API may send back the second word alone
            yield from (word for word in text.split() if len(word) >= 2 * _SHORTEST_SECRET)
        case dict():
            for each in value.values():
                yield from _in_value(each)
        case tuple():
            for each in value:
                yield from _in_value(each)


def _in_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        found = [parts.username, parts.password, *(value for _, value in parse_qsl(parts.query))]
    except ValueError:
        return
    yield from (each for each in found if each and len(each) >= _SHORTEST_SECRET)
