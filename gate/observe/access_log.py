"""The access log: one line a response, whatever the response.

The line is made from the scope, never from the request's query, cookies or Authorization, so a
secret cannot be in it. Field names follow OpenTelemetry's semantic conventions for HTTP.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, Protocol

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gate.config.settings import LogSettings
from gate.observe.problems import Problems
from gate.observe.requests import RequestCounts
from gate.outcome import Outcome
from gate.scope import Scope, scope_of

FLUSH_SECONDS = 0.05
"""Lines are handed to the writer in batches: waking its thread costs more than a line."""

_MAX_TEXT = 512
_quote = json.encoder.encode_basestring_ascii
# a query that was joined with "&", or encoded by mistake, even twice, is a query all the same
_QUERY = re.compile(r"[?#&;]|%(?:25)*(?:3f|23|26|3b)", re.IGNORECASE)
# a session in the path is cut off before; one in an address that somebody mangled is not. They are
# Fernet's: a version and a time, in base64
_SEALED = re.compile(r"gAAAA[\w-]{40,}=*")
_BODILESS = frozenset({204, 304})
# those that OpenTelemetry's conventions know
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)


class Line(NamedTuple):
    """What is told of one response. The texts of the request are made harmless by the format, and
    the subject is told as the settings say."""

    time: float
    scope: Scope
    method: str
    agent: str
    status: int
    size: int
    outcome: str
    subject: str | None
    duration_ms: float


class Output(Protocol):
    """Where lines go; writing must not block."""

    lost: int
    """Lines that could not be written."""

    def write(self, lines: bytes, count: int = 1) -> None:
        """Take whole lines, `count` of them."""


class RequestSpans(Protocol):
    """Whoever keeps traces."""

    def answered(self, line: Line) -> None:
        """A request of a trace was answered."""


class AccessLog:
    """Makes lines and hands them to the writer. `secret` keys the hash of subjects.

    Every response comes by here, so here it is counted, remembered where it failed, and told to
    `spans`.
    """

    def __init__(
        self,
        settings: LogSettings,
        writer: Output,
        *,
        secret: bytes,
        counts: RequestCounts,
        problems: Problems,
        spans: RequestSpans | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._counts = counts
        self._problems = problems
        self._spans = spans
        self._wanted = settings.access
        self._format = _json_line if settings.format == "json" else _console_line
        self._subject = lru_cache(maxsize=4096)(_subject_rule(settings.subject, secret))
        self._batch: list[str] = []

    def response(
        self, request: web.BaseRequest, response: web.StreamResponse, seconds: float
    ) -> None:
        """One response was sent, or its client went away; `seconds` since the request came in."""
        scope = scope_of(request) or _unparsed(request)
        self.note(
            Line(
                self._clock(),
                scope,
                request.method,
                request.headers.get("User-Agent", ""),
                response.status,
                _body_size(request, response),
                (scope.outcome or outcome_of_status(response.status)).value,
                scope.subject,
                _milliseconds(scope, seconds),
            )
        )

    def now(self) -> float:
        """Unix time in seconds, by the clock that lines are stamped with."""
        return self._clock()

    def note(self, line: Line) -> None:
        """Whoever answered says what is to be told of it."""
        self._counts.note(line.outcome, line.status, line.duration_ms / 1000)
        scope = line.scope
        if line.status >= 500:
            path = _told_path(scope.path)
            self._problems.answered(line.status, line.outcome, path, scope.request_id)
        if self._spans is not None and scope.trace is not None:
            self._spans.answered(line)
        if not self._wanted:
            return
        subject = None if line.subject is None else self._subject(line.subject)
        if not self._batch:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._batch.append(self._format(line, subject))

    def flush(self) -> None:
        """Hand over the lines made so far."""
        if self._batch:
            lines, self._batch = self._batch, []
            self._writer.write("".join(lines).encode("utf-8", "backslashreplace"), len(lines))

    def logger_class(self) -> type[AbstractAccessLogger]:
        """The class that aiohttp wants: it makes one object for every connection."""
        respond = self.response

        class Logger(AbstractAccessLogger):
            answered: Callable[[], None] | None = None
            """Who else wants to know that an answer was sent: the fast door."""

            def __init__(self, logger: logging.Logger, log_format: str) -> None:
                """Nothing to keep."""

            def log(
                self, request: web.BaseRequest, response: web.StreamResponse, time: float
            ) -> None:
                respond(request, response, time)
                if self.answered is not None:
                    self.answered()

        return Logger


def outcome_of_status(status: int) -> Outcome:
    """For responses that were made outside the corridor: by aiohttp's parser, or by a failure."""
    if status >= 500:
        return Outcome.FAILED
    return Outcome.MALFORMED if status >= 400 else Outcome.PUBLIC


def _body_size(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """Bytes of the body that were handed to the connection."""
    if not response.prepared or request.method == "HEAD" or response.status in _BODILESS:
        return 0
    sent, whole = request.writer.output_size, response.content_length
    # what was sent has the headers in it, which matters only where a client went away
    return sent if whole is None else min(whole, sent)


def _unparsed(request: web.BaseRequest) -> Scope:
    return Scope(path="", address=request.remote or "")


def _milliseconds(scope: Scope, seconds: float) -> float:
    # aiohttp measures by the loop's clock, which uvloop moves on in whole milliseconds
    return (time.perf_counter() - scope.begun if scope.begun else seconds) * 1000


def _subject_rule(rule: str, secret: bytes) -> Callable[[str], str | None]:
    def hashed(subject: str) -> str:
        return hmac.digest(secret, subject.encode("utf-8", "replace"), hashlib.sha256).hex()[:16]

    if rule == "hash":
        return hashed
    return (lambda subject: subject[:_MAX_TEXT]) if rule == "plain" else lambda _: None


def _told_method(method: str) -> str:
    return method if method in _METHODS else "_OTHER"


def _told_path(path: str) -> str:
    return _plain(_SEALED.sub("…", _QUERY.split(path, maxsplit=1)[0]))


def _plain(text: str) -> str:
    """At most 512 characters; bytes that are no UTF-8 become replacement characters."""
    text = text[:_MAX_TEXT]
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@lru_cache(maxsize=8192)
def _json_request(method: str, path: str, address: str, agent: str) -> str:
    """The fields that come from the request: a reader who comes back brings the same."""
    return (
        f'"http.request.method":{_quote(_told_method(method))}'
        f',"url.path":{_quote(_told_path(path))}'
        f',"client.address":{_quote(address)}'
        f',"user_agent.original":{_quote(_plain(agent))}'
    )


def _json_line(line: Line, subject: str | None) -> str:
    time, scope, method, agent, status, size, outcome, _, duration_ms = line
    verify_ms, trace = scope.verify_ms, scope.trace
    return (
        f'{{"timestamp":"{_timestamp(time)}"'
        f",{_json_request(method, scope.path, scope.address, agent)}"
        f',"http.response.status_code":{status}'
        f',"http.response.body.size":{size}'
        f',"gate.outcome":"{outcome}"'
        + (f',"gate.subject":{_quote(subject)}' if subject is not None else "")
        + (f',"gate.verify_ms":{verify_ms:.1f}' if verify_ms is not None else "")
        + (f',"trace_id":"{trace.trace_id}","span_id":"{trace.span_id}"' if trace else "")
        + f',"request.id":"{scope.request_id}","duration_ms":{duration_ms:.2f}}}\n'
    )


def _console_line(line: Line, subject: str | None) -> str:
    verify_ms, method = line.scope.verify_ms, _told_method(line.method)
    moment = datetime.fromtimestamp(line.time).strftime("%H:%M:%S")
    asked = "" if verify_ms is None else f"  asked the verify API: {verify_ms:.0f} ms"
    who = f"  {_visible(subject)}" if subject else ""
    noted = f"  request {line.scope.request_id}" if line.status >= 500 else ""
    path = _visible(_told_path(line.scope.path))
    return (
        f"{moment}  {line.status}  {line.outcome:<11} {method:<4} {path}"
        f"  {line.duration_ms:.1f} ms{who}{asked}{noted}\n"
    )


def _visible(text: str) -> str:
    """Text for a terminal: nothing in it can move the cursor."""
    return text if text.isprintable() else _quote(text)


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _timestamp(now: float) -> str:
    """RFC 3339 with milliseconds, in UTC."""
    second = int(now)
    return f"{_second(second)}.{int((now - second) * 1000):03d}Z"
