"""Where every request comes in: its scope is made, and an exception becomes an answer."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from gate import behalf
from gate.answers import Answers
from gate.cookieless import split_target
from gate.intake import Target, target_of, without_prefix
from gate.outcome import Outcome
from gate.proxies import Proxies, is_host
from gate.scope import SCOPE, Scope, request_id
from gate.trace import Trace, new_trace, stated_trace

log = logging.getLogger(__name__)

_PARSER_STATUSES = {
    413: "the body is too large",
    417: "the Expect header asks for what is not done",
}


class Corridor(Protocol):
    """What lies behind the entrance."""

    async def walk(
        self,
        request: web.Request,
        scope: Scope,
        target: Target,
        handler: Handler,
        sealed: str | None,
    ) -> web.StreamResponse:
        """Answer; `sealed` is the session that stood before the target in the path."""


class Entrance:
    """The outermost layer: makes the scope, and an answer out of every exception.

    `keeps` says of a trace that begins here whether it is kept; without it no trace begins before
    somebody is asked something on a request's behalf.
    """

    def __init__(
        self,
        answers: Answers,
        proxies: Proxies,
        guard: Corridor,
        keeps: Callable[[str], bool] | None = None,
        *,
        prefix: str = "",
    ) -> None:
        self._answers = answers
        self._proxies = proxies
        self._guard = guard
        self._keeps = keeps
        self._prefix = prefix

    @web.middleware
    async def walk(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        target, sealed = target_of(request.raw_path), None
        if target is not None and self._prefix:
            if target.path == self._prefix:
                return self._to_the_top(request, target)
            target = target._replace(path=without_prefix(target.path, self._prefix))
        if target is not None and (inside := split_target(target)) is not None:
            sealed, target = inside
        scope = self._scope(request, target)
        scope.cookieless = sealed is not None
        request[SCOPE] = scope
        behalf.work_for(scope)
        if target is None or not _is_unambiguous(request):
            response = self._answers.malformed(request, scope, 400, "the address cannot be read")
            response.force_close()  # where the next request begins may be in doubt
            return response
        try:
            # called from here: every layer that aiohttp knows costs each request a wrapper more
            return await self._guard.walk(request, scope, target, handler, sealed)
        except web.HTTPException as error:
            return self._of_http(request, scope, error)
        except Exception:
            log.exception("request %s failed", scope.request_id)
            return self._answers.failed(request, scope)

    def _to_the_top(self, request: web.Request, target: Target) -> web.Response:
        """The links of the first page are relative, and want a slash at the end of its address."""
        scope = request[SCOPE] = self._scope(request, target)
        scope.outcome = Outcome.PUBLIC
        location = f"{self._prefix}/?{target.query}" if target.query else f"{self._prefix}/"
        return web.Response(status=301, headers={"Location": location})

    def _scope(self, request: web.Request, target: Target | None) -> Scope:
        asker = self._proxies.asker(request.remote or "", request.headers, scheme=request.scheme)
        stated_ids = request.headers.getall("X-Request-Id", ()) if asker.trusted else ()
        scope = Scope(
            path=target.path if target else "",
            address=asker.address,
            scheme=asker.scheme,
            host=asker.host,
            begun=time.perf_counter(),
            request_id=request_id(stated_ids, trusted=asker.trusted),
        )
        if asker.trusted and "traceparent" in request.headers:
            scope.trace = stated_trace(request.headers)
        if self._keeps is not None and scope.trace is None:
            scope.trace = _begun(scope, self._keeps)
        return scope

    def _of_http(
        self, request: web.Request, scope: Scope, error: web.HTTPException
    ) -> web.Response:
        """What aiohttp raises: a file that vanished, a body that is too large, no route."""
        if error.status in _PARSER_STATUSES:
            detail = _PARSER_STATUSES[error.status]
            return self._answers.malformed(request, scope, error.status, detail)
        if error.status in (403, 404, 405):
            return self._answers.not_found(request, scope)
        log.error("request %s: unexpected %s", scope.request_id, error.status)
        return self._answers.failed(request, scope)


def _begun(scope: Scope, keeps: Callable[[str], bool]) -> Trace:
    trace = new_trace(scope.request_id)
    return trace._replace(sampled=keeps(trace.trace_id))


def _is_unambiguous(request: web.Request) -> bool:
    """Whether everyone on the way reads the same host and the same body (RFC 9112, sections 3.2
    and 6.1): the parser lets pass a missing or odd Host, and an empty Transfer-Encoding."""
    hosts = request.headers.getall("Host", ())
    if not (is_host(hosts[0]) if len(hosts) == 1 else not hosts and request.version < (1, 1)):
        return False
    return request.headers.get("Transfer-Encoding", "chunked").lower() == "chunked"
