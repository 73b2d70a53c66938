"""A sign-in by QR code in one browser: start, wait, events, finish and cancel."""

import logging
from typing import Final

from aiohttp import web

from gate import session as sessions
from gate.access import Decision
from gate.config.sign_in import SignInSettings
from gate.forms import FORM, UnreadableForm, read_fields
from gate.intake import comes_from, next_path
from gate.outcome import Outcome
from gate.scope import SCOPE, Scope
from gate.sign_in.cookie import FlowCookie
from gate.sign_in.events import stream
from gate.sign_in.flow import Flow, State
from gate.sign_in.flows import FINISH_SECONDS, Flows, Full
from gate.sign_in.pages import SignInPages
from gate.sign_in.progress import BadAnswer, Unreachable
from gate.sign_in.surroundings import Surroundings, html, reader_of, retry_after
from gate.sign_in.wanted import START, wanted_by

log = logging.getLogger(__name__)

WAIT: Final = "/-/sign-in/wait"

MAX_STREAMS = 4
"""Open event streams of one sign-in: a browser opens one for each of its tabs."""

LONGEST_NAME = 100
FULL_SECONDS = 30
UNAVAILABLE_SECONDS = 5

_UNJUDGED: Final = {Outcome.UNAVAILABLE: "unverified", Outcome.LIMITED: "limited"}
"""The page, where an approval could not be judged now: it is not lost."""


class FlowHandlers:
    """Start, wait, events, finish and cancel: the QR code's life in one browser."""

    def __init__(
        self,
        settings: SignInSettings,
        pages: SignInPages,
        flows: Flows,
        cookie: FlowCookie,
        around: Surroundings,
    ) -> None:
        self._settings = settings
        self._pages = pages
        self._flows = flows
        self._cookie = cookie
        self._around = around

    async def start(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/sign-in/start`: a person pressed the button of our own page."""
        scope = request[SCOPE]
        if (refusal := self._of_stranger(request, scope)) is not None:
            return refusal
        try:
            fields = await read_fields(request, patience=self._around.patience, kinds=(FORM,))
        except UnreadableForm as problem:
            response = self._around.answers.malformed(request, scope, problem.status, str(problem))
            response.force_close()  # where its body ends may be in doubt
            return response
        texts = {name: value for name, value in fields if isinstance(value, str)}
        own = self._around.origins.own(scope)
        wanted = wanted_by(texts.get("next", ""), request.headers, own)
        name = texts.get("name", "").strip()
        if self._settings.qr.ask_name and not _is_name(name):
            scope.outcome = Outcome.MALFORMED
            page = self._pages.offer(reader_of(request), wanted=wanted, wrong_name=True)
            return html(400, page)
        if seconds := self._around.admission.wait(request, scope):
            scope.outcome = Outcome.LIMITED
            return self._later(request, 429, "limited", seconds, wanted)
        self._end_another(request, State.REPLACED)
        return await self._begin(request, scope, wanted, name)

    async def _begin(
        self, request: web.Request, scope: Scope, wanted: str, name: str
    ) -> web.StreamResponse:
        try:
            agent = request.headers.get("User-Agent", "")
            flow = await self._flows.begin(scope.address, agent, wanted, name=name)
        except Full:
            scope.outcome = Outcome.LIMITED
            return self._later(request, 429, "full", FULL_SECONDS, wanted)
        except (Unreachable, BadAnswer) as problem:
            log.warning("a sign-in by QR code could not begin: %s", problem)
            scope.outcome = Outcome.UNAVAILABLE
            return self._later(request, 503, "unavailable", UNAVAILABLE_SECONDS, wanted)
        response = self._around.answers.see_other(WAIT)
        lifetime = self._settings.qr.flow_lifetime + FINISH_SECONDS
        self._cookie.put(response, flow.id, lifetime)
        return response

    async def wait(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/sign-in/wait`: the QR code, or what became of it; with `state=replaced`, what a
        tab shows whose sign-in another tab took over, together with the cookie."""
        if request.query.get("state") == State.REPLACED.value:
            return html(410, self._pages.message(reader_of(request), State.REPLACED.value))
        found = self._found(request)
        if not isinstance(found, Flow) or not found.is_live:
            return await self._over(request, found)
        seconds = self._flows.seconds_left(found)
        origin = self._around.origins.own(request[SCOPE]) or ""
        page = self._pages.wait(reader_of(request), found, seconds=seconds, origin=origin)
        return html(200, page)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """`GET /-/sign-in/events`: the state at every change and every few seconds, to the browser
        that began. Neither the transaction nor the token is ever in it."""
        scope = request[SCOPE]
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return self._around.answers.forbidden(request, scope, "forbidden_load")
        found = self._found(request)
        if found is None:
            return self._around.answers.denied(request, scope, Decision(Outcome.NO_TOKEN))
        if isinstance(found, Flow) and found.watchers >= MAX_STREAMS:
            scope.outcome = Outcome.LIMITED
            return web.Response(status=429, headers={"Retry-After": str(FULL_SECONDS)})
        return await stream(request, self._flows, found)

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/sign-in/finish`: the token that the phone brought becomes a new session."""
        scope, around = request[SCOPE], self._around
        if (refusal := self._of_stranger(request, scope)) is not None:
            return refusal
        found = self._found(request)
        if not isinstance(found, Flow) or not found.is_live:
            return await self._over(request, found)
        token = self._flows.take(found)
        if token is None:
            return around.answers.see_other(WAIT)
        answer = await around.admission.take(request, scope, token)
        if answer is not None and scope.outcome in _UNJUDGED:
            self._flows.give_back(found, token)
            page = self._pages.message(reader_of(request), _UNJUDGED[scope.outcome], finish=True)
            return retry_after(html(answer.status, page), answer.headers["Retry-After"])
        if answer is not None:
            return answer
        location = next_path(found.wanted, around.current.site, around.reader)
        around.recent.note(request, location)
        return around.answers.see_other(location)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """`POST /-/sign-in/cancel`: ends what this browser began, and goes back."""
        scope = request[SCOPE]
        if (refusal := self._of_stranger(request, scope)) is not None:
            return refusal
        wanted = self._end_another(request, State.CANCELLED)
        return self._around.answers.see_other(self._pages.address(wanted))

    def _end_another(self, request: web.Request, state: State) -> str:
        """End the sign-in that this browser has under way; the page that it was for."""
        found = self._found(request)
        if not isinstance(found, Flow):
            return START
        self._flows.end(found, state)
        return found.wanted

    def _found(self, request: web.Request) -> Flow | State | None:
        """This browser's sign-in; `RESTARTED` where an earlier process knew it; None for none."""
        flow_id = self._cookie.of(request.headers)
        if flow_id is None:
            if self._cookie.is_made_up(request.headers):
                self._around.admission.refused(request, request[SCOPE])
            return None
        return self._flows.find(flow_id) or State.RESTARTED

    async def _over(self, request: web.Request, found: Flow | State | None) -> web.StreamResponse:
        """What became of it; for whoever came in meanwhile, the way to the page."""
        state = found.state if isinstance(found, Flow) else found
        wanted = found.wanted if isinstance(found, Flow) else ""
        around, opens = self._around, ""
        session = await sessions.current(request)
        decision = None if session is None else around.access.recall(session)
        if decision is not None and decision.outcome is Outcome.ALLOWED:
            opens = next_path(wanted or START, around.current.site, around.reader)
            if request.method == "POST":  # another tab was faster
                return around.answers.see_other(opens)
        name = state.value if state is not None else "unknown"
        page = self._pages.message(reader_of(request), name, wanted=wanted, open_at=opens)
        return html(200 if state is State.USED else 410, page)

    def _later(
        self, request: web.Request, status: int, name: str, seconds: int, wanted: str
    ) -> web.Response:
        page = self._pages.message(reader_of(request), name, wanted=wanted)
        return retry_after(html(status, page), seconds)

    def _of_stranger(self, request: web.Request, scope: Scope) -> web.Response | None:
        """403 for a POST that no page of our own sent: not even a portal may begin a sign-in in
        somebody's browser, or end one."""
        origin = comes_from(request.headers)
        if origin is not None and origin == self._around.origins.own(scope):
            return None
        shown = origin if origin is not None and origin.isascii() else ""
        return self._around.answers.forbidden(request, scope, "forbidden_origin", origin=shown)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()
