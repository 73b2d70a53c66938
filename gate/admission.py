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
from gate.intake import Target, known_target, without_prefix
from gate.limits import FailureLimits
from gate.outcome import Outcome
from gate.scope import SCOPE, Scope
from gate.seal import Session
from gate.session import SessionSeal


class Admission:
    """Takes tokens in. Refusals are counted, and who has too many waits."""

    def __init__(
        self, access: Access, seal: SessionSeal, answers: Answers, limits: FailureLimits
    ) -> None:
        self._access = access
        self._seal = seal
        self._answers = answers
        self._limits = limits

    async def take(
        self, request: web.Request, scope: Scope, text: str
    ) -> web.StreamResponse | None:
        """Judge a token that came in and let the response carry the new session.

        None when it was good: the caller says where to go. Only a refused token deletes the cookie.
        """
        held: Session | None = await sessions.current(request)
        judged = await self.judge(request, scope, text, held)
        if isinstance(judged, web.StreamResponse):
            return judged
        if judged.outcome is Outcome.INTAKE:
            if judged.session is not None:
                await sessions.begin(request, judged.session)
            return None
        if judged.outcome is Outcome.REFUSED:
            await sessions.end(request)
        # a form cannot be sent again by a link
        again = judged.outcome is Outcome.UNAVAILABLE and request.method == "POST"
        page = "unavailable_form" if again else None
        return self._answers.denied(request, scope, judged, page=page)

    async def judge(
        self, request: web.Request, scope: Scope, text: str, held: Session | None
    ) -> Decision | web.Response:
        """The decision about a token, noted in the scope; or the answer where there is none: it is
        too long for a cookie, or too many were refused."""
        token = tokens.parse(text)
        if token is not None and not self._seal.fits(
            self._seal.new(token, expires=None, subject=None)
        ):
            return self._answers.too_long(request, scope)
        if (token is None or not self._access.knows(token, held)) and (
            seconds := self.wait(request, scope)
        ):
            return self._answers.limited(request, scope, seconds)
        decision = (
            Decision(Outcome.REFUSED) if token is None else await self._access.admit(token, held)
        )
        scope.outcome, scope.subject = decision.outcome, decision.subject
        scope.verify_ms = decision.verify_ms
        if decision.outcome is Outcome.REFUSED:
            self.refused(request, scope)
        if decision.session is not None and not self._seal.fits(decision.session):
            return self._answers.too_long(request, scope)
        return decision

    def wait(self, request: web.Request, scope: Scope) -> int:
        """Seconds until this client may bring another token; 0 for now."""
        return self._limits.wait(scope.address, request.headers.get("User-Agent", ""))

    def refused(self, request: web.Request, scope: Scope) -> None:
        """Count a refusal."""
        self._limits.failed(scope.address, request.headers.get("User-Agent", ""))


class RecentIntakes:
    """Intakes of the last seconds, to tell a browser that kept no cookie from a stranger.

    Bounded; what is forgotten costs only a less helpful page.
    """

    LIMIT = 4096
    SECONDS = 15.0

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, prefix: str = "") -> None:
        self._clock = clock
        self._prefix = prefix
        self._noted: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._until = 0.0  # the last of them is over

    def note(self, request: web.Request, location: str) -> None:
        """Remember an intake by address, browser and where it was sent."""
        who = _who(request, location.partition("#")[0])
        self._noted[who] = self._until = self._clock() + self.SECONDS
        self._noted.move_to_end(who)
        if len(self._noted) > self.LIMIT:
            self._noted.popitem(last=False)

    def take_at(self, request: web.Request) -> bool:
        """Whether this is where one was sent; then it is forgotten."""
        if not self._noted:
            return False
        agent = request.headers.get("User-Agent", "")
        return self.take(request[SCOPE].address, agent, known_target(request))

    def take(self, address: str, agent: str, target: Target) -> bool:
        """The same, for a client that asks for this target."""
        if not self._noted:
            return False
        if self._clock() >= self._until:
            self._noted.clear()
            return False
        path = without_prefix(target.path, self._prefix)
        location = f"{path}?{target.query}" if target.query else path
        return self._noted.pop((address, agent, location), 0.0) > self._clock()


def _who(request: web.Request, location: str) -> tuple[str, str, str]:
    return request[SCOPE].address, request.headers.get("User-Agent", ""), location
