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
from operator import attrgetter
from typing import NamedTuple, Protocol

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gate.config.settings import LogSettings
from gate.observe.problems import Problems
from gate.observe.requests import RequestCounts, RequestStatistics
from gate.outcome import Outcome
from gate.scope import Scope, scope_of
from gate.trace import Trace

FLUSH_SECONDS = 0.05
"""Lines are handed to the writer in batches: waking its thread costs more than a line."""

FLUSH_LINES = 1000
"""So many are handed over at once, whatever the time: where thousands of connections ask without a
pause, the loop comes to its timers only after a second or two, and a batch as large as everything
that may wait would be lost."""

_MAX_TEXT = 512
# of one text in JSON: with path, agent and subject as long as that a line still has less than the
# 4,096 bytes that a pipe takes at once, and so no other worker's line comes in between
_MAX_QUOTED = 1026
_quote = json.encoder.encode_basestring_ascii
# a query that was joined with "&", or encoded by mistake, even twice, is a query all the same
_QUERY = re.compile(r"[?#&;]|%(?:25)*(?:3f|23|26|3b)", re.IGNORECASE)
# a session in the path is cut off before; one in an address that somebody mangled is not. They are
# Fernet's: a version and a time, in base64
_SEALED = re.compile(r"gAAAA[\w-]{40,}=*")
_BODILESS = frozenset({204, 304})
# most requests take less than 10 ms, and to tell of them costs less like this
_SHORT = tuple(f"{hundredths / 100:.2f}" for hundredths in range(1000))
# those that OpenTelemetry's conventions know
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)


class Line(NamedTuple):
    """What is told of one response. The texts of the request are made harmless by the format, and
    the subject is told as the settings say."""

    time: float
    """When it was answered, Unix time in seconds."""
    method: str
    path: str
    scheme: str
    address: str
    agent: str
    status: int
    size: int
    outcome: str
    subject: str | None
    request_id: str
    duration_ms: float
    verify_ms: float | None = None
    trace: Trace | None = None


_COUNTED: Callable[[Line], tuple[str, int]] = attrgetter("outcome", "status")

Told = Callable[[str], str | None]
"""How a subject is told."""


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
        self._format = _json_lines if settings.format == "json" else _console_lines
        self._subject = lru_cache(maxsize=4096)(_subject_rule(settings.subject, secret))
        self._batch: list[Line] = []

    def response(
        self, request: web.BaseRequest, response: web.StreamResponse, seconds: float
    ) -> None:
        """One response was sent, or its client went away; `seconds` since the request came in."""
        scope = scope_of(request) or _unparsed(request)
        if scope.handed_on:
            return
        self.note(
            Line(
                self._clock(),
                request.method,
                scope.path,
                scope.scheme,
                scope.address,
                request.headers.get("User-Agent", ""),
                response.status,
                _body_size(request, response),
                (scope.outcome or outcome_of_status(response.status)).value,
                scope.subject,
                scope.request_id,
                _milliseconds(scope, seconds),
                scope.verify_ms,
                scope.trace,
            )
        )

    def note(self, line: Line) -> None:
        """Whoever answered says what is to be told of it."""
        batch = self._batch
        batch.append(line)
        if len(batch) == 1:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        elif len(batch) == FLUSH_LINES:
            self.flush()
        if line.status >= 500:
            path = _told_path(line.path)
            self._problems.answered(line.status, line.outcome, path, line.request_id)
        if self._spans is not None and line.trace is not None:
            self._spans.answered(line)

    def flush(self) -> None:
        """Count the responses of the last moments, and hand over their lines: many at once cost
        less than one after the other."""
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        self._counts.note(map(_COUNTED, batch), [line.duration_ms / 1000 for line in batch])
        if self._wanted:
            lines = self._format(batch, self._subject)
            self._writer.write(lines.encode("utf-8", "backslashreplace"), len(batch))

    def statistics(self) -> RequestStatistics:
        """Counts of the responses, for whoever keeps metrics."""
        self.flush()
        return self._counts.statistics()

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


def _quoted(text: str) -> str:
    """As JSON, cut where escapes make it too long."""
    quoted = _quote(text)
    while len(quoted) > _MAX_QUOTED:
        text = text[: len(text) * _MAX_QUOTED // len(quoted)]
        quoted = _quote(text)
    return quoted


@lru_cache(maxsize=4096)
def _json_answer(method: str, path: str, status: int, size: int, outcome: str) -> str:
    """The fields that are the same for everybody who reads a page."""
    return (
        f'"http.request.method":{_quote(_told_method(method))}'
        f',"url.path":{_quoted(_told_path(path))}'
        f',"http.response.status_code":{status}'
        f',"http.response.body.size":{size}'
        f',"gate.outcome":"{outcome}"'
    )


@lru_cache(maxsize=16384)
def _json_reader(address: str, agent: str, subject: str | None) -> str:
    """The fields that are the same whatever somebody reads."""
    return f'"client.address":{_quote(address)},"user_agent.original":{_quoted(_plain(agent))}' + (
        "" if subject is None else f',"gate.subject":{_quoted(subject)}'
    )


def _json_lines(batch: list[Line], told: Told) -> str:
    lines = []
    millisecond, timestamp = -1, ""
    for (
        now, method, path, _, address, agent, status, size, outcome, reader, request_id,
        duration_ms, verify_ms, trace,
    ) in batch:  # fmt: skip
        if (this := int(now * 1000)) != millisecond:
            millisecond, timestamp = this, _timestamp(this)
        subject = None if reader is None else told(reader)
        rare = "" if verify_ms is None and trace is None else _json_rare(verify_ms, trace)
        hundredths = int(duration_ms * 100 + 0.5)
        duration = _SHORT[hundredths] if hundredths < len(_SHORT) else f"{duration_ms:.2f}"
        lines.append(
            f'{{"timestamp":"{timestamp}",{_json_answer(method, path, status, size, outcome)}'
            f",{_json_reader(address, agent, subject)}{rare}"
            f',"request.id":"{request_id}","duration_ms":{duration}}}\n'
        )
    return "".join(lines)


def _json_rare(verify_ms: float | None, trace: Trace | None) -> str:
    asked = "" if verify_ms is None else f',"gate.verify_ms":{verify_ms:.1f}'
    return asked + (f',"trace_id":"{trace.trace_id}","span_id":"{trace.span_id}"' if trace else "")


def _console_lines(batch: list[Line], told: Told) -> str:
    return "".join([_console_line(line, told) for line in batch])


def _console_line(line: Line, told: Told) -> str:
    subject = None if line.subject is None else told(line.subject)
    verify_ms, method = line.verify_ms, _told_method(line.method)
    moment = datetime.fromtimestamp(line.time).strftime("%H:%M:%S")
    asked = "" if verify_ms is None else f"  asked the verify API: {verify_ms:.0f} ms"
    who = f"  {_visible(subject)}" if subject else ""
    noted = f"  request {line.request_id}" if line.status >= 500 else ""
    path = _visible(_told_path(line.path))
    return (
        f"{moment}  {line.status}  {line.outcome:<11} {method:<4} {path}"
        f"  {line.duration_ms:.1f} ms{who}{asked}{noted}\n"
    )


def _visible(text: str) -> str:
    """Text for a terminal: nothing in it can move the cursor."""
    return text if text.isprintable() else _quoted(text)


def _timestamp(millisecond: int) -> str:
    """RFC 3339, in UTC."""
    second, thousandth = divmod(millisecond, 1000)
    return f"{_second(second)}.{thousandth:03d}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
