"""Metrics: what they count, how Prometheus reads them, and to whom they are open."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import parser

from gate.observe.families import BY_NAME, FAMILIES
from gate.observe.histogram import NOTHING, SECONDS, Histogram
from gate.observe.metrics import CONTENT_TYPE, exposition, joined
from gate.observe.requests import RequestCounts
from tests.conftest import DATA, Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.processes import free_ports, gate_process, write_config
from tests.raw import ask

SECRET = "a-secret-of-good-length"
BEARER = {"Authorization": f"Bearer {SECRET}"}
OPEN = {"metrics": {"secret": SECRET}}
PAGES = len([*DATA.rglob("*.html")]) + 1  # and one whose name is not ASCII


def basic(password: str, name: str = "anybody") -> dict[str, str]:
    pair = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: str) -> Samples:
    """By name and values of labels, as Prometheus's own parser reads them."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(gate: Gate) -> Samples:
    answer = await gate.get("/-/metrics", headers=BEARER)
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)
    return samples(await answer.text())


def families(text: str) -> Iterator[tuple[str, str]]:
    for family in parser.text_string_to_metric_families(text):
        yield family.name + ("_total" if family.type == "counter" else ""), family.type


# Who may read them


async def test_without_a_secret_they_are_not_there(gate: Gate) -> None:
    for headers in ({}, BEARER, basic("")):
        assert (await gate.get("/-/metrics", headers=headers)).status == 404


@pytest.mark.parametrize("headers", [BEARER, basic(SECRET), basic(SECRET, "")])
async def test_the_secret_opens_them(make_gate: MakeGate, headers: dict[str, str]) -> None:
    gate = await make_gate(**OPEN)
    answer = await gate.get("/-/metrics", headers=headers)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": SECRET},
        {"Authorization": f"Digest {SECRET}"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Basic \xff"},
        {"Authorization": "Basic ===="},
        basic("wrong"),
        basic("", SECRET),
        {"X-Forwarded-For": "127.0.0.1"},
        {"Cookie": f"__Host-gate={SECRET}"},
    ],
)
async def test_nothing_else_opens_them(
    make_gate: MakeGate, api: FakeApi, headers: dict[str, str]
) -> None:
    gate = await make_gate(**OPEN)
    answer = await gate.get(f"/-/metrics?secret={SECRET}", headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer, Basic ")
    assert "gate_" not in await answer.text()
    assert api.count == 0, "the secret is no token"


async def test_two_authorization_headers_open_nothing(make_gate: MakeGate) -> None:
    gate = await make_gate(intake={"bearer": False}, **OPEN)
    line = f"Authorization: Bearer {SECRET}"
    assert (await ask(gate, "/-/metrics", line, line)).status == 401


async def test_a_port_of_its_own_has_nothing_but_the_metrics(
    docs_tree: Path, tmp_path: Path, api: FakeApi
) -> None:
    (port,) = free_ports(1)
    more = f"[metrics]\nport = {port}"
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    async with gate_process("serve", cwd=tmp_path) as process, aiohttp.ClientSession() as client:
        own = await process.port()

        async def status(at: int, path: str) -> int:
            async with client.get(f"http://127.0.0.1:{at}{path}") as answer:
                return answer.status

        assert await status(port, "/-/metrics") == 200
        assert await status(port, "/") == 404
        assert await status(port, "/-/healthz") == 404
        assert await status(own, "/-/metrics") == 404
        assert await process.stop() == 0
    assert "GET" not in process.err, "scrapes are no news"


async def test_a_port_of_its_own_can_want_the_secret_too(
    docs_tree: Path, tmp_path: Path, api: FakeApi
) -> None:
    (port,) = free_ports(1)
    more = f'[metrics]\nport = {port}\nsecret = "{SECRET}"'
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    async with gate_process("serve", cwd=tmp_path) as process, aiohttp.ClientSession() as client:
        own, url = await process.port(), f"http://127.0.0.1:{port}/-/metrics"
        for headers, expected in (({}, 401), (BEARER, 200)):
            async with client.get(url, headers=headers) as answer:
                assert answer.status == expected
        async with client.get(f"http://127.0.0.1:{own}/-/metrics", headers=BEARER) as answer:
            assert answer.status == 404


# What they count


async def test_every_response_is_counted_by_outcome_and_status(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(log={"access": False}, cache={"negative_ttl": 0}, **OPEN)
    cookie = await gate.sign_in()
    for path in ("/", "/guide", "/nothing"):
        await gate.get(path, headers=cookie)
    await gate.get("/")
    await gate.get(f"/?token={BAD}")
    api.fail()
    await gate.get("/?token=another")
    found = await scrape(gate)
    counted = {labels: n for (name, labels), n in found.items() if name == "gate_requests_total"}
    assert counted == {
        ("intake", "3xx"): 1,
        ("allowed", "2xx"): 1,
        ("allowed", "3xx"): 1,
        ("allowed", "4xx"): 1,
        ("no_token", "4xx"): 1,
        ("refused", "4xx"): 1,
        ("unavailable", "5xx"): 1,
        ("failed", "5xx"): 0,
    }
    assert found["gate_request_duration_seconds_count", ()] == 7
    assert gate.lines.raw == b"", "counted also where nobody wants lines"


async def test_verifications_are_counted_by_result_and_cause(
    make_gate: MakeGate, api: FakeApi
) -> None:
    gate = await make_gate(cache={"negative_ttl": 0}, **OPEN)
    await gate.sign_in()
    await gate.get(f"/?token={BAD}")
    api.fail(503, "down")
    for number in range(7):  # five open the breaker
        await gate.get(f"/?token=t{number}")
    found = await scrape(gate)
    results = {k[0]: n for (name, k), n in found.items() if name == "gate_verifications_total"}
    assert results == {"yes": 1, "no": 1, "unavailable": 5, "not_asked": 2}
    assert found["gate_verification_failures_total", ("server-error",)] == 5
    assert found["gate_verification_failures_total", ("resting",)] == 2
    assert found["gate_verification_duration_seconds_count", ()] == 7
    assert found["gate_breaker_state", ("open",)] == 1
    assert found["gate_breaker_state", ("closed",)] == 0


async def test_what_is_under_way_is_seen(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(**OPEN)
    released = api.hold()
    waiting = [asyncio.create_task(gate.get(f"/?token={GOOD}")) for _ in range(3)]
    await api.asked.wait()
    found = await scrape(gate)
    assert found["gate_flights", ()] == found["gate_verifications_in_progress", ()] == 1
    released.set()
    await asyncio.gather(*waiting)
    found = await scrape(gate)
    assert found["gate_flights", ()] == found["gate_verifications_in_progress", ()] == 0


async def test_cache_and_sessions_are_counted(make_gate: MakeGate, clock: FakeClock) -> None:
    gate = await make_gate(**OPEN)
    cookie = await gate.sign_in()
    before = await scrape(gate)
    assert before["gate_sessions_sealed_total", ()] == 1
    assert before["gate_cache_entries", ("good",)] == 1
    for _ in range(3):
        await gate.get("/", headers=cookie)
    await gate.get("/", headers={"Cookie": "__Host-gate=nonsense"})
    await gate.get("/", headers={"Cookie": "other=1"})
    clock.advance(2000)
    await gate.get("/", headers=cookie)  # past ttl, and past half the idle time: renewed
    after = await scrape(gate)
    assert after["gate_sessions_sealed_total", ()] == 2
    assert after["gate_sessions_refused_total", ()] == 1
    hit, miss = ("gate_cache_lookups_total", ("hit",)), ("gate_cache_lookups_total", ("miss",))
    assert after[hit] - before[hit] == 3
    assert after[miss] - before[miss] == 1


async def test_lost_lines_revocations_readiness_and_site_are_told(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    gate = await make_gate(revoke={"secret": "another-secret-of-length"}, **OPEN)
    gate.lines.lost = 7
    revoking = {"Authorization": "Bearer another-secret-of-length"}
    assert (await gate.post("/-/revoke", json={"subject": "x"}, headers=revoking)).status == 204
    found = await scrape(gate)
    assert found["gate_log_lines_lost_total", ("stdout",)] == 7
    assert found["gate_revocations", ()] == 1
    assert found["gate_revocations_unwritten", ()] == 0
    assert found["gate_ready", ()] == found["gate_workers", ()] == 1
    assert found["gate_site_pages", ()] == PAGES
    assert found["gate_site_files", ()] > found["gate_site_pages", ()]
    assert found["gate_site_loaded_timestamp_seconds", ()] == clock.wall()
    assert found["gate_site_builds_total", ("loaded",)] == 1
    assert found["process_resident_memory_bytes", ()] > 2**20
    assert 0 < found["process_open_fds", ()] < found["process_max_fds", ()]


async def test_two_workers_answer_for_both_and_never_go_back(make_gate: MakeGate) -> None:
    two: dict[str, Any] = {"server": {"workers": 2}, **OPEN}
    gate, worker = await make_gate(**two), await make_gate(**two)
    cookie = await gate.sign_in()
    before, name = 0.0, ("gate_requests_total", ("allowed", "3xx"))
    for number in range(6):
        await (gate, worker)[number % 2].get("/guide", headers=cookie)
        # what the other counted since it last wrote is told a moment later
        now = (await scrape((worker, gate)[number // 2 % 2])).get(name, 0)
        assert now >= before
        before = now
    found = [await scrape(each) for each in (gate, worker, gate)]
    assert [each["gate_workers", ()] for each in found] == [2, 2, 2]
    assert found[-1][name] == 6


async def test_a_worker_that_cannot_write_speaks_for_itself(
    make_gate: MakeGate, docs_tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = await make_gate(server={"workers": 2}, **OPEN)
    (docs_tree.parent / "state").mkdir(exist_ok=True)
    folder = docs_tree.parent / "state" / "workers"
    await scrape(gate)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    for _ in range(3):
        assert (await scrape(gate))["gate_workers", ()] == 1
    assert caplog.text.count("other workers cannot be told") == 1


# The text


async def test_every_family_of_the_table_is_told_by_its_kind(
    make_gate: MakeGate, api: FakeApi
) -> None:
    qr = {"client_id": "docs", "device_url": f"{api.url}/device", "token_url": f"{api.url}/token"}
    gate = await make_gate(sign_in={"qr": {"preset": "device", **qr}}, **OPEN)
    api.fail()
    await gate.get(f"/?token={GOOD}")
    answer = await gate.get("/-/metrics", headers=BEARER)
    elsewhere = {name for name in BY_NAME if name.startswith("gate_shared_")}  # with its server
    told = dict(families(await answer.text()))
    assert told == {each.name: each.kind for each in FAMILIES if each.name not in elsewhere}


def test_histograms_are_cumulative_and_bounds_belong_to_what_is_below() -> None:
    histogram = Histogram()
    for seconds in (0.0005, 0.0006, 0.3, 10.0, 11.0):
        histogram.note(seconds)
    found = samples(exposition({"gate_request_duration_seconds": {(): histogram.spread()}}))
    name = "gate_request_duration_seconds"
    below = {k[0]: n for (each, k), n in found.items() if each == f"{name}_bucket"}
    assert list(below) == [*map(str, SECONDS[:10]), "1", "2.5", "5", "10", "+Inf"]
    assert [below[each] for each in ("0.0005", "0.001", "0.25", "0.5", "10", "+Inf")] == [
        1, 2, 2, 3, 4, 5,
    ]  # fmt: skip
    assert found[f"{name}_count", ()] == 5
    assert found[f"{name}_sum", ()] == pytest.approx(21.3011)


def test_quantiles_are_as_near_as_the_bounds_tell() -> None:
    histogram = Histogram()
    for _ in range(100):
        histogram.note(0.02)
    assert histogram.spread().quantile(0.5) == pytest.approx(0.01 + 0.015 / 2)
    assert NOTHING.quantile(0.5) is None
    histogram.note(60)
    assert histogram.spread().quantile(1) == SECONDS[-1]


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "ü"])
def test_labels_are_escaped(value: str) -> None:
    text = exposition({"gate_verification_failures_total": {(value,): 1}})
    assert samples(text) == {("gate_verification_failures_total", (value,)): 1}


def test_workers_are_joined_as_each_family_wants_it() -> None:
    def of(value: float) -> Any:
        return {
            "gate_flights": {(): value},
            "gate_revocations": {(): value},
            "gate_ready": {(): value},
            "of_another_version": {(): value},
        }

    assert joined([of(1), of(3), of(2)]) == {
        "gate_flights": {(): 6},
        "gate_revocations": {(): 3},
        "gate_ready": {(): 1},
    }


def test_statuses_of_a_class_are_one_series() -> None:
    counts = RequestCounts()
    counts.note([("allowed", status) for status in (200, 204, 304, 200)], [0.001] * 4)
    responses = counts.statistics().responses
    assert {labels: n for labels, n in responses.items() if n} == {
        ("allowed", "2xx"): 3,
        ("allowed", "3xx"): 1,
    }


async def test_neither_tokens_nor_subjects_nor_paths_are_in_them(
    make_gate: MakeGate, api: FakeApi
) -> None:
    api.tokens["canary-token"] = {"active": True, "sub": "canary-subject"}
    gate = await make_gate(verify={"active": "/active"}, **OPEN)
    cookie = await gate.sign_in("canary-token")
    await gate.get("/canary-path", headers={**cookie, "User-Agent": "canary-agent"})
    answer = await gate.get("/-/metrics", headers=BEARER)
    assert "canary" not in await answer.text()
