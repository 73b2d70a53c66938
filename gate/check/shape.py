"""Where in an API's answer a yes or no stands: for whoever does not know what to point at.

Works on what `Mask.shape` leaves of an answer: no text of it, and no name that is a secret.
"""

import json
from collections.abc import Iterator

DEPTH, MOST = 3, 6
"""How deep to look, and how many names to tell."""

_LONGEST = 40  # characters of a name that is told


def booleans(document: object, depth: int = DEPTH, at: str = "") -> Iterator[str]:
    """Pointers (RFC 6901) to every true or false within some levels, the upper ones first."""
    if not isinstance(document, dict):
        return
    steps = {name: f"{at}/{name.replace('~', '~0').replace('/', '~1')}" for name in document}
    yield from (steps[name] for name, value in document.items() if isinstance(value, bool))
    if depth > 1:
        for name, value in document.items():
            yield from booleans(value, depth - 1, steps[name])


def found(document: object) -> str:
    """What stands at the top of an answer, in words."""
    match document:
        case dict() if document:
            names = [json.dumps(name[:_LONGEST], ensure_ascii=False) for name in document]
            more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
            return f"the answer has {', '.join(names[:MOST])}{more}"
        case dict():
            return "the answer is an empty object"
        case list():
            return "the answer is a list"
        case bool():
            return f"the answer itself is {json.dumps(document)}"
    return "the answer is no object"


def cure(document: object, active: str) -> str:
    """What to set or to send so that there is a yes or no."""
    if isinstance(document, bool):
        return 'set [verify] active = "", which is the whole body'
    pointers = [json.dumps(each, ensure_ascii=False) for each in booleans(document)]
    if len(pointers) == 1:
        return f"set [verify] active = {pointers[0]}"
    if pointers:
        told = ", ".join(pointers[:MOST])
        return f"set [verify] active to the one that means that the token is good: {told}"
    if active:
        return f"let the API send exactly true or false at {json.dumps(active)}"
    return (
        'let the API send exactly true or false as its whole body, or as {"active": true} and'
        ' set [verify] active = "/active"'
    )
