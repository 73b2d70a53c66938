"""`/-/auth`: the decision alone, for a proxy that serves something else behind the same session.

The answer depends on the cookie or the Bearer token and on nothing else: no path, no public list,
no token in the query. nginx `auth_request`, Caddy `forward_auth` and Traefik ask it before every
request that they let through.
"""

import re
from urllib.parse import quote

from aiohttp import web

from gate import tokens
from gate.access import Access, Decision
from gate.admission import Admission
from gate.answers import Answers
from gate.intake import Reader
from gate.outcome import Outcome
from gate.scope import SCOPE, Scope
from gate.session import SessionSeal

USER = "X-Auth-Request-User"

MOST_BYTES = 2048
"""Of the encoded name: proxies commonly keep all headers of an answer in 4 kB."""

# a name with a percent sign is encoded too, or it could be spelt like that of somebody else
_PLAIN = re.compile(r"[!-$&-~]{0,256}")


class ForwardAuth:
    """204 to go on, 401 not to, 503 where nobody can tell now."""

    def __init__(
        self,
        *,
        access: Access,
        admission: Admission,
        seal: SessionSeal,
        reader: Reader,
        answers: Answers,
    ) -> None:
        self._access = access
        self._admission = admission
        self._seal = seal
        self._reader = reader
        self._answers = answers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/auth`. Every answer names the user, so that a proxy always has something to put
        in the place of what a client claims."""
        response = await self._answer(request, request[SCOPE])
        response.headers.setdefault(USER, "")
        return response

    async def _answer(self, request: web.Request, scope: Scope) -> web.StreamResponse:
        bearers = self._reader.bearer_tokens(request.headers)
        bearer = tokens.parse(bearers[0]) if bearers else None
        known = bearer is not None and self._access.knows(bearer, None)
        if bearers and not known and (seconds := self._admission.wait(request, scope)):
            return self._limited(request, scope, seconds)
        if bearers and bearer is None:
            decision = Decision(Outcome.REFUSED)
        else:
            session = None if bearers else self._seal.of(request.headers)
            decision = await self._access.decide(session, bearer=bearer)
        if bearers and decision.outcome is Outcome.REFUSED:
            self._admission.refused(request, scope)
        scope.outcome, scope.subject = decision.outcome, decision.subject
        scope.verify_ms = decision.verify_ms
        if decision.outcome not in (Outcome.ALLOWED, Outcome.STALE):
            return self._answers.denied(request, scope, decision)
        return web.Response(status=204, headers={USER: user_header(decision.subject)})

    def _limited(self, request: web.Request, scope: Scope, seconds: int) -> web.Response:
        """503, where other addresses say 429: nginx makes 500 of what it does not know."""
        scope.outcome = Outcome.LIMITED
        response = self._answers.page(request, scope, 503, "limited")
        response.headers["Retry-After"] = str(seconds)
        return response


def user_header(subject: str | None) -> str:
    """A subject as a header value that no two subjects share: as it is where that is visible ASCII
    of up to 256 characters, else percent-encoded; "" where it is unknown, or too long."""
    if subject is None or _PLAIN.fullmatch(subject):
        return subject or ""
    encoded = quote(subject, safe="", errors="surrogatepass")
    return encoded if len(encoded) <= MOST_BYTES else ""
