"""Trace contexts as they stand in the headers traceparent and tracestate (W3C Trace Context)."""

import random
import re
from typing import NamedTuple

from multidict import CIMultiDictProxy

_random = random.Random()  # noqa: S311 - trace ids need not be secret

# a version to come may have more behind a further dash; version ff is none (section 3.2.2)
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})"
    r"-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-[ -~]*)?"
)
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_STATE = re.compile(r"[ -~]{1,512}")
_SAMPLED = 1


class Trace(NamedTuple):
    """One span of a trace: a request to the gate, or a question of the gate's own."""

    trace_id: str
    span_id: str
    sampled: bool = True
    """Whether whoever began the trace keeps it."""
    parent_id: str | None = None
    """The span that this one is part of; None where the trace begins here."""
    state: str = ""
    """What tracing systems add for each other, handed on as it came."""

    @property
    def headers(self) -> dict[str, str]:
        """What tells others of this span."""
        traceparent = f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"
        return {"traceparent": traceparent} | ({"tracestate": self.state} if self.state else {})

    def child(self) -> "Trace":
        """A span within this one."""
        return self._replace(span_id=_span_id(), parent_id=self.span_id)


def stated_trace(headers: CIMultiDictProxy[str]) -> Trace | None:
    """A span within the one that the headers name; None unless they name exactly one."""
    parents = headers.getall("traceparent", ())
    found = _TRACEPARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if found is None or (found["version"] == "00" and found["more"]):
        return None
    state = ",".join(headers.getall("tracestate", ()))
    return Trace(
        trace_id=found["trace"],
        span_id=_span_id(),
        sampled=bool(int(found["flags"], 16) & _SAMPLED),
        parent_id=found["span"],
        state=state if _STATE.fullmatch(state) else "",
    )


def new_trace(request_id: str) -> Trace:
    """A trace that begins here. A request id that can be a trace id is the trace's too."""
    known = _TRACE_ID.fullmatch(request_id)
    return Trace(request_id if known else f"{_random.getrandbits(128) or 1:032x}", _span_id())


def _span_id() -> str:
    return f"{_random.getrandbits(64) or 1:016x}"
