"""A request is followed from the proxy to the verify API, and nobody else is believed."""

import re
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gate.observe.spans import Spans
from gate.trace import new_trace, stated_trace
from tests.conftest import MakeGate
from tests.fakes import GOOD, FakeApi
from tests.signing import AUDIENCE, ISSUER, Signer, jwks

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
STATED = {"traceparent": PARENT, "tracestate": "vendor=1"}
BEHIND: dict[str, Any] = {"server": {"trusted_proxies": ["127.0.0.1"]}}


def stated(*parents: str) -> Any:
    headers = CIMultiDict([("traceparent", each) for each in parents])
    return stated_trace(CIMultiDictProxy(headers))


@pytest.mark.parametrize(
    ("parent", "sampled"),
    [
        (PARENT, True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_a_well_formed_parent_is_gone_on_with(parent: str, sampled: bool) -> None:
    trace = stated(parent)
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE, SPAN, sampled)
    assert re.fullmatch("[0-9a-f]{16}", trace.span_id)
    assert trace.span_id != SPAN


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [PARENT, PARENT],
        [""],
        [PARENT.upper()],
        [PARENT + "-more"],
        [PARENT + " "],
        [PARENT[:-1]],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE}-{SPAN}-0x"],
        [f"0-{TRACE}-{SPAN}-01"],
        [f"cc-{TRACE}-{SPAN}-01.more"],
        [f"00-{TRACE[:-1]}\xe4-{SPAN}-01"],
    ],
)
def test_anything_else_is_no_parent(parents: list[str]) -> None:
    assert stated(*parents) is None


def test_a_new_trace_has_the_id_of_the_request_where_that_can_be() -> None:
    assert new_trace(TRACE).trace_id == TRACE
    for odd in ("of-the-proxy", "0" * 32, TRACE.upper(), ""):
        assert re.fullmatch("(?!0{32})[0-9a-f]{32}", new_trace(odd).trace_id)


async def test_the_verify_api_is_told_of_the_request_and_the_trace(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(**BEHIND)
    await gate.get(f"/?token={GOOD}", headers={**STATED, "X-Request-Id": "of-the-proxy"})
    (asked,), (line,) = api.requests, await gate.log()
    assert asked.headers["X-Request-Id"] == line["request.id"] == "of-the-proxy"
    assert asked.headers["traceparent"] == f"00-{TRACE}-{line['span_id']}-01"
    assert asked.headers["tracestate"] == "vendor=1"
    assert line["trace_id"] == TRACE


async def test_without_a_stated_trace_one_begins_with_the_question(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(**BEHIND)
    cookie = await gate.sign_in()
    await gate.get("/", headers=cookie)
    (asked,), (intake, page) = api.requests, await gate.log()
    assert asked.headers["X-Request-Id"] == intake["request.id"] == intake["trace_id"]
    assert asked.headers["traceparent"] == f"00-{intake['trace_id']}-{intake['span_id']}-01"
    assert "trace_id" not in page, "nobody was asked, nobody wanted one"


async def test_nobody_but_a_trusted_proxy_is_believed(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(server={"trusted_proxies": ["192.0.2.1"]})
    await gate.get(f"/?token={GOOD}", headers={**STATED, "X-Request-Id": "of-a-client"})
    (asked,), (line,) = api.requests, await gate.log()
    assert TRACE not in asked.headers["traceparent"]
    assert "tracestate" not in asked.headers
    assert line["trace_id"] != TRACE
    assert line["request.id"] != "of-a-client"


@pytest.mark.parametrize("state", ["x" * 600, "vendor=\xfc"], ids=["too long", "not ASCII"])
async def test_a_state_that_is_none_is_not_handed_on(
    make_gate: MakeGate, api: FakeApi, state: str
) -> None:
    gate = await make_gate(**BEHIND)
    await gate.get(f"/?token={GOOD}", headers={"traceparent": PARENT, "tracestate": state})
    (asked,) = api.requests
    assert TRACE in asked.headers["traceparent"]
    assert "tracestate" not in asked.headers


async def test_headers_of_the_settings_win(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(verify={"headers": {"x-request-id": "fixed"}})
    await gate.get(f"/?token={GOOD}")
    (asked,) = api.requests
    assert asked.headers.getall("X-Request-Id") == ["fixed"]


async def test_whoever_serves_the_keys_of_jwts_is_told_too_of_the_request_that_wants_them(
    make_gate: MakeGate, api: FakeApi
) -> None:
    api.say(jwks(signer := Signer()))
    jwt = {"issuer": ISSUER, "audience": AUDIENCE}
    verify = {"preset": "jwt", "headers": {"x-request-id": "fixed"}}
    for section in ({"preset": "jwt"}, verify):
        gate = await make_gate(verify=section, jwt=jwt, **BEHIND)
        text = signer.text(exp=2**33, iat=1)
        answer = await gate.get(f"/?token={text}", headers={**STATED, "X-Request-Id": "proxys"})
        assert answer.status == 303
        (line,) = await gate.log()
        asked = api.requests[-1]
        assert asked.headers["traceparent"] == f"00-{TRACE}-{line['span_id']}-01"
        told = "fixed" if section is verify else line["request.id"]
        assert asked.headers.getall("X-Request-Id") == [told]
    assert api.count == 2


async def test_requests_on_one_connection_are_not_mixed_up(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(cache={"negative_ttl": 0})
    for _ in range(3):
        await gate.get("/?token=bad")
    told = [asked.headers["X-Request-Id"] for asked in api.requests]
    assert told == [line["request.id"] for line in await gate.log()]


# Spans


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr("gate.observe.spans.OTLPSpanExporter", lambda: exporter)
    return exporter


def by_kind(exporter: InMemorySpanExporter, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.kind is kind]


def ids(span: ReadableSpan) -> tuple[str, str, str | None]:
    assert span.context is not None
    parent = None if span.parent is None else f"{span.parent.span_id:016x}"
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", parent


async def test_a_span_for_each_request_and_one_in_it_for_each_question(
    make_gate: MakeGate, api: FakeApi, exporter: InMemorySpanExporter
) -> None:
    gate = await make_gate(tracing={"enabled": True}, **BEHIND)
    cookie = await gate.sign_in()
    await gate.get("/", headers={**cookie, **STATED})
    (asked,), (intake, page) = api.requests, await gate.log()
    first, second = by_kind(exporter, SpanKind.SERVER)
    (question,) = by_kind(exporter, SpanKind.CLIENT)
    assert ids(first) == (intake["trace_id"], intake["span_id"], None)
    assert ids(second) == (TRACE, page["span_id"], SPAN)
    trace_id, span_id, parent = ids(question)
    assert (trace_id, parent) == (intake["trace_id"], intake["span_id"])
    assert asked.headers["traceparent"] == f"00-{trace_id}-{span_id}-01"
    assert dict(second.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.path": "/",
        "url.scheme": "http",
        "gate.outcome": "allowed",
        "request.id": page["request.id"],
    }
    assert second.resource.attributes["service.name"] == "docs-gate"
    assert GOOD not in "".join(span.to_json() for span in exporter.get_finished_spans())


async def test_failures_are_marked_in_the_spans(
    make_gate: MakeGate, api: FakeApi, exporter: InMemorySpanExporter
) -> None:
    gate = await make_gate(tracing={"enabled": True})
    api.fail()
    await gate.get(f"/?token={GOOD}")
    await gate.log()
    statuses = {span.status.status_code for span in exporter.get_finished_spans()}
    assert statuses == {StatusCode.ERROR}
    (question,) = by_kind(exporter, SpanKind.CLIENT)
    assert dict(question.attributes or {}) == {"gate.verification.result": "unavailable"}


async def test_what_the_proxy_does_not_keep_is_not_sent(
    make_gate: MakeGate, api: FakeApi, exporter: InMemorySpanExporter
) -> None:
    gate = await make_gate(tracing={"enabled": True}, **BEHIND)
    await gate.get(f"/?token={GOOD}", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    await gate.log()
    assert exporter.get_finished_spans() == ()
    assert api.requests[0].headers["traceparent"].endswith("-00")


async def test_the_sampler_of_the_environment_decides_where_a_trace_begins(
    make_gate: MakeGate,
    api: FakeApi,
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    gate = await make_gate(tracing={"enabled": True})
    await gate.get(f"/?token={GOOD}")
    await gate.log()
    assert exporter.get_finished_spans() == ()
    assert api.requests[0].headers["traceparent"].endswith("-00")


def test_the_service_is_named_by_the_environment_where_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "handbook")
    provider = Spans(InMemorySpanExporter())._provider
    assert provider.resource.attributes["service.name"] == "handbook"
    provider.shutdown()
