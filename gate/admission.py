"""What the ways of intake share: a token is judged, a session begins or ends, and it is remembered
for a moment where the browser was sent."""

import time
from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web

from gate import session as sessions
from gate import tokens
from gate.access import Access, Decision
from gate.answers import Answers
from gate.intake import known_target
from gate.outcome import Outcome
from gate.scope import SCOPE, Scope
from gate.seal import Session
from gate.session import SessionSeal


async def take_token(
    request: web.Request,
    scope: Scope,
    text: str,
    access: Access,
    seal: SessionSeal,
    answers: Answers,
) -> web.StreamResponse | None:
    """Judge a token that came in and let the response carry the new session.

    None when it was good: the caller says where to go. Only a refused token deletes the cookie.
    """
    token = tokens.parse(text)
    held: Session | None = await sessions.current(request)
    if token is None:
        decision = Decision(Outcome.REFUSED)
    elif not seal.fits(seal.new(token, expires=None, subject=None)):
        return answers.too_long(request, scope)
    else:
        decision = await access.admit(token, held)
    scope.outcome, scope.subject = decision.outcome, decision.subject
    scope.verify_ms = decision.verify_ms
    if decision.outcome is Outcome.INTAKE:
        if decision.session is not None:
            if not seal.fits(decision.session):
                return answers.too_long(request, scope)
            await sessions.begin(request, decision.session)
        return None
    if decision.outcome is Outcome.REFUSED:
        await sessions.end(request)
    # a form cannot be sent again by a link
    again = decision.outcome is Outcome.UNAVAILABLE and request.method == "POST"
    return answers.denied(request, scope, decision, page="unavailable_form" if again else None)


class RecentIntakes:
    """Intakes of the last seconds, to tell a browser that kept no cookie from a stranger.

    Bounded; what is forgotten costs only a less helpful page.
    """

    LIMIT = 4096
    SECONDS = 15.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def note(self, request: web.Request, location: str) -> None:
        """Remember an intake by address, browser and where it was sent."""
        who = _who(request, location.partition("#")[0])
        self._noted[who] = self._clock() + self.SECONDS
        self._noted.move_to_end(who)
        if len(self._noted) > self.LIMIT:
            self._noted.popitem(last=False)

    def take(self, request: web.Request) -> bool:
        """Whether this is where one was sent; then it is forgotten."""
        if not self._noted:
            return False
        target = known_target(request)
        address = f"{target.path}?{target.query}" if target.query else target.path
        return self._noted.pop(_who(request, address), 0.0) > self._clock()


def _who(request: web.Request, location: str) -> tuple[str, str, str]:
    return request[SCOPE].address, request.headers.get("User-Agent", ""), location
