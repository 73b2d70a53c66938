"""The rules of `[sign_in.qr]`: what answers count as pending, accepted or refused.

A rule is a text of conditions joined by "and". A condition is `status` with a number or a class
("status 404", "status 4xx"), or a JSON pointer, "=" and the JSON value that must stand there:
`status 400 and /code = 61010`, `/done = true`, `/state = "denied"`.
"""

import json
import re
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator

_STATUS: Final = re.compile(r"status ([1-5])(xx|[0-9]{2})")
_VALUE: Final = re.compile(r"(?P<pointer>(?:/(?:[^~/\s=]|~[01])*)+) ?= ?(?P<value>.+)", re.DOTALL)
_AND: Final = re.compile(r" and (?=status |/)")


class Rule(NamedTuple):
    """The conditions, all of which must hold."""

    statuses: tuple[range, ...]
    values: tuple[tuple[str, object], ...]
    """JSON pointers, each with the value that must stand there."""


def parse_rule(text: str) -> Rule:
    """The rule that a text spells. Raises ValueError, which does not repeat the text."""
    statuses: list[range] = []
    values: list[tuple[str, object]] = []
    for condition in _AND.split(text):
        if status := _STATUS.fullmatch(condition):
            first = int(status[1] + status[2].replace("x", "0"))
            statuses.append(range(first, first + (100 if status[2] == "xx" else 1)))
        elif value := _VALUE.fullmatch(condition):
            values.append((value["pointer"], _plain_value(value["value"])))
        else:
            raise ValueError(
                'must be conditions joined by " and ": "status 404", "status 4xx", or a JSON '
                "pointer and what stands there, as '/code = 61010' or '/state = \"denied\"'"
            )
    return Rule(tuple(statuses), tuple(values))


def _plain_value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('must have JSON behind "=": true, 7, or a text in double quotes') from None
    if isinstance(value, dict | list):
        raise ValueError('must have a plain value behind "=": true, false, null, number or text')
    return value


def _spelt(text: str) -> str:
    parse_rule(text)
    return text


RuleText = Annotated[str, AfterValidator(_spelt)]
