"""On whose behalf something is asked: the request that is being answered travels with the tasks
that it starts, so that the verify API is told of it without anyone between having to know.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gate.scope import Scope, new_request_id
from gate.trace import Trace, new_trace

_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)
_question: ContextVar[Trace | None] = ContextVar("question", default=None)


def work_for(scope: Scope) -> None:
    """From here on this task and those that it starts work for a request."""
    _scope.set(scope)


def trace() -> Trace:
    """The span of the request that is worked for. One begins where there is none yet."""
    scope = _scope.get()
    if scope is None:  # work of the gate's own
        return new_trace("")
    if scope.trace is None:
        scope.trace = new_trace(scope.request_id)
    return scope.trace


@contextmanager
def question() -> Iterator[Trace]:
    """What is asked inside is a span of its own, which is yielded."""
    span = trace().child()
    before = _question.set(span)
    try:
        yield span
    finally:
        _question.reset(before)


def headers() -> dict[str, str]:
    """For a request that is made on this behalf: X-Request-Id, traceparent, tracestate."""
    scope = _scope.get()
    request_id = new_request_id() if scope is None else scope.request_id
    return {"X-Request-Id": request_id, **(_question.get() or trace()).headers}
