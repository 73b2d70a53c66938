"""Spans by OpenTelemetry, an extra: nothing imports this room unless `[tracing]` is on.

A span is made when it is over, with the ids that the log line and the verify API were given; so a
request on its way pays for nothing but its ids. Where spans go, how they are sampled and what else
describes this service is said by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, …).
"""

import asyncio
import os
import threading

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from gate import __version__
from gate.observe.access_log import Line
from gate.trace import Trace

LAST_SECONDS = 2.0
"""At the end, for spans that have not been sent."""


class Spans:
    """Sends spans. Use it as an async context manager."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        self._ids = _GivenIds()
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "docs-gate"}
        self._provider = TracerProvider(
            resource=Resource.create({**named, "service.version": __version__}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("docs-gate", __version__)

    async def __aenter__(self) -> "Spans":
        return self

    async def __aexit__(self, *_: object) -> None:
        # a collector that does not answer must not keep us: the thread is left to itself
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await done.wait()
        except TimeoutError:
            pass

    def keeps(self, trace_id: str) -> bool:
        """Whether a trace that begins here is kept, by OTEL_TRACES_SAMPLER."""
        sampling = self._provider.sampler.should_sample(None, int(trace_id, 16), "request")
        return sampling.decision is Decision.RECORD_AND_SAMPLE

    def answered(self, line: Line) -> None:
        """A request of a trace was answered."""
        trace = line.trace
        assert trace is not None, "only then"
        attributes: dict[str, AttributeValue] = {
            "http.request.method": line.method,
            "http.response.status_code": line.status,
            "url.path": line.path,
            "url.scheme": line.scheme,
            "gate.outcome": line.outcome,
            "request.id": line.request_id,
        }
        began = line.time - line.duration_ms / 1000
        failed = line.status >= 500
        self._send(trace, line.method, SpanKind.SERVER, attributes, (began, line.time), failed)

    def asked(self, trace: Trace, began: float, ended: float, result: str) -> None:
        """A token was verified."""
        failed = result == "unavailable"
        attributes: dict[str, AttributeValue] = {"gate.verification.result": result}
        self._send(trace, "verify", SpanKind.CLIENT, attributes, (began, ended), failed)

    def _send(
        self,
        trace: Trace,
        name: str,
        kind: SpanKind,
        attributes: dict[str, AttributeValue],
        times: tuple[float, float],
        failed: bool,
    ) -> None:
        if not trace.sampled:
            return
        began, ended = (int(moment * 1e9) for moment in times)
        self._ids.next = trace
        span = self._tracer.start_span(
            name, context=_parent(trace), kind=kind, attributes=attributes, start_time=began
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)


class _GivenIds(IdGenerator):
    """The ids of a span that others know already."""

    next = Trace("0" * 31 + "1", "0" * 15 + "1")

    def generate_trace_id(self) -> int:
        return int(self.next.trace_id, 16)

    def generate_span_id(self) -> int:
        return int(self.next.span_id, 16)


def _parent(trace: Trace) -> Context:
    if trace.parent_id is None:
        return Context()
    context = SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(context), Context())
