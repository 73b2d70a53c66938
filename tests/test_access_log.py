"""One line a response, whatever the response, and what stands in it."""

import asyncio
import json
import re
import select
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gate.config.settings import LogSettings
from gate.observe.access_log import FLUSH_LINES, AccessLog, Line
from gate.observe.problems import Problems
from gate.observe.requests import RequestCounts
from gate.site.index import Site
from tests.conftest import Gate, MakeGate
from tests.fakes import GOOD, FakeApi, FakeClock, Lines
from tests.in_turn import in_turn
from tests.raw import exchange, statuses

ALWAYS = {
    "timestamp",
    "http.request.method",
    "url.path",
    "http.response.status_code",
    "http.response.body.size",
    "client.address",
    "user_agent.original",
    "gate.outcome",
    "request.id",
    "duration_ms",
}
SOMETIMES = {"gate.subject", "gate.verify_ms", "trace_id", "span_id"}
NAVIGATE = {"Sec-Fetch-Mode": "navigate"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


READER = [
    ("GET", "/", {}, 200),
    ("GET", "/assets/app.js", {"Accept-Encoding": "br"}, 200),
    ("GET", "/assets/logo.png", {}, 200),
    ("HEAD", "/", {}, 200),
    ("GET", "/", {"If-None-Match": "*"}, 304),
    ("GET", "/assets/logo.png", {"Range": "bytes=1-5"}, 206),
    ("GET", "/assets/logo.png", {"Range": "bytes=99999999-"}, 416),
    ("GET", "/guide", {}, 301),
    ("GET", "/guide/index.html", {}, 200),
    ("GET", "/%C3%BCber%20uns/", {}, 200),
    ("GET", "/nothing", {}, 404),
]
STRANGER: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/?token=bad", {}, 401, "refused"),
    ("GET", f"/?token={GOOD}", {}, 303, "intake"),
    ("GET", f"/?token={GOOD}&token=other", {}, 400, "malformed"),
    ("GET", f"/?token={'x' * 3000}", {}, 400, "malformed"),
    ("GET", "/", {}, 401, "no_token"),
    ("GET", "/", {"headers": NAVIGATE}, 401, "no_token"),
    ("GET", "/nothing", {}, 401, "no_token"),
    ("GET", "/", {"headers": {"Authorization": f"Bearer {GOOD}"}}, 200, "allowed"),
    ("GET", "/", {"headers": {"Authorization": "Bearer bad"}}, 401, "refused"),
    ("DELETE", "/", {}, 405, "malformed"),
    ("OPTIONS", "/", {}, 405, "malformed"),
    ("POST", "/-/session", {"data": f"token={GOOD}", "headers": FORM}, 403, "forbidden"),
    ("POST", "/-/sign-out", {}, 403, "forbidden"),
    ("GET", "/-/session", {}, 405, "malformed"),
    ("GET", "/-/nothing", {}, 404, "public"),
    ("GET", "/-/healthz", {}, 200, "public"),
    ("HEAD", "/-/readyz", {}, 200, "public"),
    ("GET", "/-/gate.css", {}, 200, "public"),
]

in_one_worker = pytest.mark.parametrize("make_gate", [1], indirect=True)


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def make_gate(make_gate: MakeGate, request: pytest.FixtureRequest, clock: FakeClock) -> MakeGate:
    return in_turn(make_gate, request.param, clock)


def brief(line: dict[str, Any]) -> tuple[Any, ...]:
    """What of a line can be told from the response."""
    names = ("http.request.method", "url.path", "http.response.status_code", "gate.outcome")
    return *(line[name] for name in names), line["http.response.body.size"]


@in_one_worker
@pytest.mark.parametrize("memory_mib", [256, 0], ids=["in memory", "streamed"])
async def test_every_response_to_a_reader_leaves_a_line_with_what_was_answered(
    make_gate: MakeGate, memory_mib: int
) -> None:
    gate = await make_gate(site={"memory_mib": memory_mib})
    cookie = await gate.sign_in()
    expected = []
    for method, path, headers, status in READER:
        response = await gate.request(method, path, headers={**cookie, **headers})
        assert response.status == status
        expected.append((method, path, status, "allowed", len(await response.read())))
    assert [brief(line) for line in await gate.log()][1:] == expected


async def test_every_response_to_a_stranger_leaves_a_line_with_the_outcome(gate: Gate) -> None:
    expected = []
    for method, path, options, status, outcome in STRANGER:
        response = await gate.request(method, path, **options)
        size = len(await response.read())
        expected.append((method, path.partition("?")[0], status, outcome, size))
    assert [brief(line) for line in await gate.log()] == expected


async def test_a_sign_out_leaves_a_line(gate: Gate) -> None:
    cookie = await gate.sign_in()
    response = await gate.post("/-/sign-out", headers={**cookie, "Origin": gate.origin})
    _, line = await gate.log()
    assert brief(line) == ("POST", "/-/sign-out", response.status, "allowed", 0)


async def test_an_outage_leaves_a_line_with_its_wait(gate: Gate, api: FakeApi) -> None:
    api.fail()
    await gate.get(f"/?token={GOOD}")
    (line,) = await gate.log()
    assert (line["http.response.status_code"], line["gate.outcome"]) == (503, "unavailable")
    assert line["gate.verify_ms"] >= 0


async def test_a_failure_of_ours_leaves_a_line_and_a_log_entry_with_one_id(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(site: Site, path: str) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Site, "lookup", fail)
    response = await gate.get("/")
    (line,) = await gate.log()
    assert line["http.response.status_code"] == response.status == 500
    assert line["gate.outcome"] == "failed"
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    # the fast door fails first, and says so
    (record,) = [record for record in errors if record.name == "gate.entrance"]
    assert line["request.id"] in record.getMessage()


UNPARSABLE = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: y\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
]


async def test_every_request_that_cannot_be_parsed_leaves_a_line(gate: Gate) -> None:
    expected = []
    for sent in UNPARSABLE:
        got = await exchange(gate, sent)
        (status,) = statuses(got)
        assert 400 <= status < 500
        expected.append(("_OTHER", "", status, "malformed", len(got.partition(b"\r\n\r\n")[2])))
    lines = await gate.log()
    assert [brief(line) for line in lines] == expected
    assert {line["client.address"] for line in lines} == {"127.0.0.1"}


async def test_every_response_of_a_connection_leaves_its_line_in_order(gate: Gate) -> None:
    first = f"GET /-/healthz HTTP/1.1\r\nHost: {gate.host}:{gate.port}\r\n\r\n".encode()
    last = first.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n").replace(b"health", b"ready")
    await exchange(gate, first * 3 + last)
    paths = [line["url.path"] for line in await gate.log()]
    assert paths == ["/-/healthz"] * 3 + ["/-/readyz"]


async def test_a_client_that_went_away_leaves_a_line(gate: Gate, api: FakeApi) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.set()
        await gone.wait()
        return web.json_response(True)

    api.answer = answer
    _, writer = await asyncio.open_connection(gate.host, gate.port)
    host = f"{gate.host}:{gate.port}"
    writer.write(f"GET /guide/?token={GOOD} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    await asked.wait()
    writer.close()
    await writer.wait_closed()
    gone.set()
    await gate.lines.came.wait()
    (line,) = gate.lines.entries
    assert (line["url.path"], line["gate.outcome"]) == ("/guide/", "intake")
    assert line["http.response.body.size"] == 0


async def test_a_client_that_went_away_while_it_was_sent_a_file_leaves_a_line(
    make_gate: MakeGate, docs_tree: Path
) -> None:
    size = 32 << 20  # more than the sockets between us take
    with (docs_tree / "film.mp4").open("wb") as film:
        film.truncate(size)
    gate = await make_gate(site={"memory_mib": 0, "public": ["/film.mp4"]})
    reader, writer = await asyncio.open_connection(gate.host, gate.port)
    writer.write(f"GET /film.mp4 HTTP/1.1\r\nHost: {gate.host}:{gate.port}\r\n\r\n".encode())
    await reader.readexactly(1000)
    writer.close()
    await gate.lines.came.wait()
    (line,) = gate.lines.entries
    assert line["http.response.status_code"] == 200
    assert 0 < line["http.response.body.size"] < size


@in_one_worker
async def test_a_line_has_these_fields_of_these_kinds(gate: Gate, api: FakeApi) -> None:
    api.say(True)
    cookie = await gate.sign_in()
    await gate.get("/", headers={**cookie, "User-Agent": "Firefox/153"})
    intake, page = await gate.log()
    assert set(intake) == ALWAYS | {"gate.verify_ms", "trace_id", "span_id"}
    assert set(page) == ALWAYS
    assert re.fullmatch(r"[0-9a-f]{32}", page["request.id"])
    assert page["request.id"] != intake["request.id"]
    assert page["user_agent.original"] == "Firefox/153"
    assert page["client.address"] == "127.0.0.1"
    assert 0 <= page["duration_ms"] < 10_000
    assert {name: type(value) for name, value in page.items() if type(value) is not str} == {
        "http.response.status_code": int,
        "http.response.body.size": int,
        "duration_ms": float,
    }


@in_one_worker
async def test_timestamps_are_rfc_3339_in_utc_with_milliseconds(
    gate: Gate, clock: FakeClock
) -> None:
    stamps = {
        1_800_000_000.0: "2027-01-15T08:00:00.000Z",
        1_800_000_000.9996: "2027-01-15T08:00:00.999Z",
        1_800_000_001.0: "2027-01-15T08:00:01.000Z",
        1_803_859_199.25: "2027-02-28T23:59:59.250Z",
    }
    for clock.unix in stamps:
        await gate.get("/-/healthz")
    assert [line["timestamp"] for line in await gate.log()] == list(stamps.values())


async def test_odd_paths_are_one_line_of_json_all_the_same(gate: Gate) -> None:
    paths = ["/über%0A", "/a%22b", '/a"b', "/a\\b", "/\xff", "/%FF\x7f", "/\x80\x85"]
    for path in paths:
        await exchange(gate, f"GET {path} HTTP/1.0\r\n\r\n".encode("latin-1"))
    await gate.server.close()
    lines = gate.lines.raw.split(b"\n")
    assert len(lines) == len(paths) + 1
    assert all(line.isascii() and json.loads(line) for line in lines[:-1])


async def test_long_paths_and_agents_are_cut(gate: Gate) -> None:
    await gate.get("/" + "a" * 4000, headers={"User-Agent": "b" * 4000})
    (line,) = await gate.log()
    assert (line["url.path"], line["user_agent.original"]) == ("/" + "a" * 511, "b" * 512)


@pytest.mark.parametrize("character", ["a", '"', "\x80", "\xe9", "字", "😀"])
async def test_no_line_is_longer_than_a_pipe_takes_at_once(
    make_gate: MakeGate, api: FakeApi, character: str
) -> None:
    api.tokens[GOOD] = {"active": True, "sub": character * 4000}
    gate = await make_gate(
        verify={"active": "/active"},
        log={"subject": "plain"},
        server={"trusted_proxies": ["127.0.0.1"]},
    )
    cookie = await gate.sign_in()
    agent = (character * 2000).encode("utf-8" if ord(character) > 255 else "latin-1")
    head = b"GET /%s HTTP/1.1\r\nHost: %s:%d\r\nCookie: %s\r\nUser-Agent: %s\r\n" % (
        b'"' * 2000, gate.host.encode(), gate.port or 0, cookie["Cookie"].encode(), agent,
    )  # fmt: skip
    proxied = f"X-Request-Id: {'r' * 128}\r\nX-Forwarded-For: 2001:db8:{'ffff:' * 5}ffff\r\n"
    traced = f"traceparent: 00-{'a' * 32}-{'b' * 16}-01\r\nConnection: close\r\n\r\n"
    await exchange(gate, head + (proxied + traced).encode())
    lines = await gate.log()
    assert lines[-1]["user_agent.original"][:80] == agent.decode("utf-8", "replace")[:80]
    assert lines[-1]["gate.subject"][:80] == character * 80
    assert lines[-1]["request.id"] == "r" * 128
    assert lines[-1]["trace_id"] == "a" * 32
    assert 900 < max(map(len, gate.lines.raw.splitlines())) < select.PIPE_BUF


async def test_methods_that_the_conventions_do_not_know_are_told_as_other(gate: Gate) -> None:
    await gate.request("PROPFIND", "/")
    (line,) = await gate.log()
    assert (line["http.request.method"], line["http.response.status_code"]) == ("_OTHER", 405)


async def test_lines_are_handed_over_however_late_the_loop_comes_to_its_timers() -> None:
    output = Lines()
    log = AccessLog(LogSettings(), output, secret=b"s", counts=RequestCounts(), problems=Problems())
    for number in range(FLUSH_LINES * 3 + 1):
        log.note(
            Line(0.0, "GET", f"/{number}", "http", "x", "x", 200, 1, "allowed", None, "x", 1.0)
        )
    assert len(output.entries) == FLUSH_LINES * 3, "the loop did not turn meanwhile"
    log.flush()
    paths = [entry["url.path"] for entry in output.entries]
    assert paths == [f"/{number}" for number in range(FLUSH_LINES * 3 + 1)]
    assert log.statistics().responses["allowed", "2xx"] == FLUSH_LINES * 3 + 1
