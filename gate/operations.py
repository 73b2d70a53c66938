"""Routes for the operator. Each has a secret of its own, compared in constant time, and never
reaches intake."""

from aiohttp import web

from gate.answers import Answers
from gate.credential import Credential
from gate.forms import JSON, Fields, UnreadableForm, read_fields
from gate.outcome import Outcome
from gate.readiness import Readiness
from gate.scope import SCOPE
from gate.state.revocations import (
    UNWRITTEN,
    Kind,
    NotAnnounced,
    RevocationProblem,
    Revocations,
    fingerprint_of_subject,
)
from gate.tokens import parse

_WANTED = 'the body must be one of {"token": "…"}, {"subject": "…"}, {"before": Unix time}'


class RevokeHandler:
    """`POST /-/revoke`: ends one token, one subject, or everything issued before a moment."""

    def __init__(
        self,
        secret: str,
        revocations: Revocations,
        answers: Answers,
        readiness: Readiness,
        patience: float,
    ) -> None:
        self._credential = Credential(secret, "bearer")
        self._revocations = revocations
        self._answers = answers
        self._readiness = readiness
        self._patience = patience

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """204 when every worker knows and no restart forgets; else 503."""
        scope = request[SCOPE]
        if not self._credential.is_shown(request.headers):
            scope.outcome = Outcome.REFUSED
            return self._answers.unauthorized(request, scope)
        try:
            fields = await read_fields(request, patience=self._patience, kinds=(JSON,))
            kind, what, at = self._order(fields)
        except UnreadableForm as problem:
            response = self._answers.malformed(request, scope, problem.status, str(problem))
            response.force_close()  # where its body ends may be in doubt
            return response
        try:
            await self._revocations.end(kind, what, at=at)
        except RevocationProblem as problem:
            if not isinstance(problem, NotAnnounced):
                self._readiness.fail(UNWRITTEN, str(problem))
            return self._answers.unwritten(request, scope)
        self._readiness.clear(UNWRITTEN)
        scope.outcome = Outcome.ALLOWED
        return web.Response(status=204)

    def _order(self, fields: Fields) -> tuple[Kind, str, float | None]:
        """What is to end, and up to when. Raises `UnreadableForm`."""
        match fields:
            case [("token", str(text))]:
                token = parse(text)
                if token is None:
                    raise UnreadableForm(400, "that is no token that could ever have been good")
                return "token", token.fingerprint, None
            case [("subject", str(subject))]:
                return "subject", fingerprint_of_subject(subject), None
            case [("before", int() | float() as moment)] if not isinstance(moment, bool):
                if not 0 <= moment <= self._revocations.now():
                    raise UnreadableForm(400, "`before` must be a moment that has passed")
                return "everything", "", float(moment)
            case _:
                raise UnreadableForm(400, _WANTED)
