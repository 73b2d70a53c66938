"""The status page: open to its secret alone, and without a secret in it."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest

from gate.app import READINESS
from gate.observe import charts
from gate.observe.histogram import Histogram, Spread
from gate.observe.history import History, Minute, last_hour
from gate.observe.problems import KEPT, Problem, Problems, newest
from tests.conftest import Gate, MakeGate
from tests.fakes import GOOD, FakeApi, FakeClock
from tests.test_metrics import basic

SECRET = "a-secret-of-good-length"
OPEN = {"status": {"secret": SECRET}}


class Parsed(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]


async def page(gate: Gate) -> str:
    answer = await gate.get("/-/status", headers=basic(SECRET))
    assert answer.status == 200
    return await answer.text()


def shown(text: str) -> str:
    """The words of a page, one space between them."""
    return " ".join(re.sub("<[^>]*>", " ", text).split())


async def test_without_a_secret_there_is_no_page(gate: Gate) -> None:
    for path in ("/-/status", "/-/status.css"):
        assert (await gate.get(path, headers=basic(""))).status == 404


@pytest.mark.parametrize("name", ["", "anybody"])
async def test_the_secret_opens_it_with_any_user_name(make_gate: MakeGate, name: str) -> None:
    gate = await make_gate(**OPEN)
    answer = await gate.get("/-/status", headers=basic(SECRET, name))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("wrong"),
        basic(""),
        basic(SECRET + "x"),
        {"Authorization": f"Bearer {SECRET}"},
        {"X-Forwarded-For": "127.0.0.1"},
    ],
)
async def test_nothing_else_opens_it(
    make_gate: MakeGate, api: FakeApi, headers: dict[str, str]
) -> None:
    gate = await make_gate(**OPEN)
    for query in ("", f"?secret={SECRET}", f"?password={SECRET}"):
        answer = await gate.get(f"/-/status{query}", headers=headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert "<" not in await answer.text()
    assert api.count == 0, "the secret is no token"


async def test_the_page_needs_no_script_and_no_style_of_its_own(make_gate: MakeGate) -> None:
    gate = await make_gate(**OPEN)
    answer = await gate.get("/-/status", headers=basic(SECRET))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'; style-src 'self'; img-src 'self';" in policy
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy
    parsed = Parsed(await answer.text())
    assert not {"script", "style", "iframe", "form"} & set(parsed.tags)
    assert parsed.tags["svg"] >= 3
    names = {name for _, name, _ in parsed.attributes}
    assert not {name for name in names if name == "style" or name.startswith("on")}
    loads = {value for _, name, value in parsed.attributes if name in ("src", "href")}
    assert loads == {"", "/-/logo", "/-/gate.css", "/-/status.css"}
    for path in loads - {""}:
        assert (await gate.get(path)).status == 200


async def test_the_page_says_what_happened(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await make_gate(**OPEN)
    cookie = await gate.sign_in()
    for _ in range(5):
        await gate.get("/", headers=cookie)
    api.fail()
    answer = await gate.get(
        "/guide/?token=other", headers={"X-Request-Id": "mine", "Accept": "text/html"}
    )
    assert answer.status == 503
    text = shown(await page(gate))
    assert "7 in the last hour" in text
    assert "allowed 5" in text
    assert "503 unavailable /guide/" in text
    (line,) = [each for each in await gate.log() if each["http.response.status_code"] == 503]
    assert line["request.id"] in text
    assert "2027-01-15 08:00:00 UTC" in text, "the clock of the test"


async def test_settings_are_shown_without_secrets(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(
        revoke={"secret": "canary-revoke-secret"},
        metrics={"secret": "canary-metrics-secret"},
        verify={"headers": {"X-Api-Key": "canary-key"}, "url": f"{api.url}?key=canary-query"},
        session={"keys": ["CanaryCanaryCanaryCanaryCanaryCanaryCanaryA="]},
        **OPEN,
    )
    text = await page(gate)
    assert "canary" not in text.lower()
    assert SECRET not in text
    assert "idle_timeout" in text
    assert "X-Api-Key" in text


async def test_hostile_paths_and_log_texts_are_text(
    make_gate: MakeGate, api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    gate = await make_gate(**OPEN)
    api.fail()
    await gate.get(f"/<script>alert(1)</script>&quot;?token={GOOD}")
    parsed = Parsed(await page(gate))
    assert "script" not in parsed.tags


async def test_why_it_is_not_ready_stands_on_top(make_gate: MakeGate) -> None:
    gate = await make_gate(**OPEN)
    gate.server.app[READINESS].fail("disk", "the <disk> is full")
    text = await page(gate)
    assert "Not ready" in shown(text)
    assert "the &lt;disk&gt; is full" in text


async def test_two_workers_are_one_page(make_gate: MakeGate, api: FakeApi) -> None:
    two: dict[str, Any] = {"server": {"workers": 2}, **OPEN}
    gate, worker = await make_gate(**two), await make_gate(**two)
    cookie = await gate.sign_in()
    await gate.get("/", headers=cookie)
    await worker.get("/", headers=cookie)
    api.fail()
    await worker.get("/?token=other")
    await page(worker)
    text = shown(await page(gate))
    assert "Workers 2" in text
    assert "503 unavailable /" in text, "the other one's problem"


# The hour


def readings(requests: int, spread: Spread | None = None) -> Any:
    return {
        "gate_requests_total": {("allowed", "2xx"): requests, ("allowed", "3xx"): 1},
        "gate_cache_lookups_total": {("hit",): requests, ("miss",): 0},
        "gate_verification_duration_seconds": {(): spread or Histogram().spread()},
    }


def test_what_is_new_since_the_last_look_belongs_to_the_minute() -> None:
    history = History()
    for wall, requests in ((60.0, 4), (119.0, 10), (120.0, 10), (240.0, 25)):
        history.note(readings(requests), wall)
    hour = last_hour([history.minutes()], 241)
    assert [minute.requests for minute in hour[-4:]] == [11, 0, 0, 15]
    assert len(hour) == 60
    assert [minute.hit_share for minute in hour[-2:]] == [None, 1.0]


def test_an_hour_is_kept_and_no_more_whatever_the_clock_does() -> None:
    history = History()
    for minute in range(500):
        history.note(readings(minute), minute * 60.0)
    assert len(history.minutes()) == 60
    history.note(readings(1000), 400 * 60.0)  # an hour and more back
    assert max(history.minutes()) == 400
    history.note(readings(1001), 5000 * 60.0)
    assert list(history.minutes()) == [5000]


def test_minutes_of_workers_are_added_up() -> None:
    one, other = ({7: Minute(Counter(allowed=n), n, 0)} for n in (2, 3))
    hour = last_hour([one, other], 7 * 60.0)
    assert hour[-1] == Minute(Counter(allowed=5), 5, 0)
    assert one[7].hits == 2, "what a worker keeps stays its own"


def test_problems_are_bounded_and_neither_kind_pushes_the_other_out(clock: FakeClock) -> None:
    problems = Problems(clock.wall)
    problems.answered(500, "failed", "/first", "id")
    for _ in range(10 * KEPT):
        clock.advance(1)
        problems._said.append(Problem(clock.wall(), "said"))
    last = problems.last()
    assert len(last) == KEPT + 1
    assert last[-1] == Problem(1_800_000_000.0, "500 failed", "/first", "id")
    assert len(newest([last, last, last])) == 2 * KEPT


# The shapes


def test_bars_fill_the_height_and_stand_on_each_other() -> None:
    svg = charts.bars([("a", [1, 0]), ("b", [3, 2])], label='x "y"')
    heights = {
        (name, float(height))
        for name, height in re.findall(r'class="(\w)".*? height="([\d.]+)"', svg)
    }
    assert heights == {("a", 30), ("b", 90), ("b", 60)}
    assert 'aria-label="x &#34;y&#34;"' in svg
    assert "style=" not in svg


def test_lines_break_where_there_is_nothing() -> None:
    svg = charts.lines([("a", [1.0, 0.5, None, 1.0, None])], label="")
    first, second = re.findall(r'points="([^"]*)"', svg)
    assert first == "60,0 180,60"
    assert second == "420,0 420,0"


def test_charts_of_nothing_are_empty() -> None:
    for svg in (charts.bars([("a", [0, 0])], label=""), charts.lines([("a", [None])], label="")):
        assert "nan" not in svg
        assert "<rect" not in svg
        assert "<polyline" not in svg
