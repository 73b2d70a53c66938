"""The bench without its load: what it asks for, how it judges, and the page that it writes."""

import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server, socket
from xml.etree import ElementTree

import pytest

from bench import caddy, charts, equal_load, limits, load, page, report, results, scripts, servers
from bench.chromium import NAVIGATION
from bench.contenders import Field, enter
from bench.limits import Judged, Limit
from bench.machine import Cores, family
from bench.names import GATE, NGINX
from bench.paced import Broken, Client, moments
from bench.page_load import page_load
from bench.requests import OTHERS
from bench.results import Results, Row, Table
from bench.rounds import Rounds, sent, table
from bench.scenarios import HOT, LARGE_FILE, prepare, scenarios
from bench.servers import Absent, Answer, BenchProblem, Server
from bench.stage import Contender

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"


def rows(ours: list[float], theirs: list[float]) -> list[Row]:
    return [
        Row(name, [{"micros": value} for value in values])
        for name, values in ((GATE, ours), (NGINX, theirs))
    ]


# What is asked for


def test_a_page_load_is_what_the_page_names_and_what_the_theme_fetches() -> None:
    asked = page_load(SITE, "/settings/")
    paths = [path for path, _ in asked]
    assert asked[0] == ("/settings/", NAVIGATION)
    assert {"/sitemap.xml", "/search/search_index.json", "/assets/extra.css"} <= set(paths)
    assert len(paths) == len(set(paths))
    assert [path for path in paths[1:] if not (SITE / path.lstrip("/")).is_file()] == []


def test_every_scenario_asks_for_what_the_site_has(tmp_path: Path) -> None:
    prepare(tmp_path)
    paths = {path for each in scenarios(SITE) for path, _ in each.asked} - {LARGE_FILE}
    places = [SITE / path.lstrip("/") for path in paths]
    assert [str(place) for place in places if not place.exists()] == []
    assert (tmp_path / LARGE_FILE.lstrip("/")).stat().st_size == 1 << 20


def test_a_request_is_written_as_a_browser_would() -> None:
    headers = {"Host": "docs.example.com", "If-None-Match": '"x"', "Accept": "*/*"}
    assert scripts.request("/a/", headers, "c=1").split("\r\n") == [
        "GET /a/ HTTP/1.1", "Host: docs.example.com", "Accept: */*", "Cookie: c=1",
        'If-None-Match: "x"', "", "",
    ]  # fmt: skip


# What the load found


def wrk_says(**figures: int) -> str:
    found = {"requests": 10, "micros": 2_000_000, "p50_micros": 500, "p99_micros": 1500}
    return "Running 1s test\n" + str({**found, "statuses": 0, "broken": 0, **figures}).replace(
        "'", '"'
    )


def test_the_figures_of_wrk_are_read() -> None:
    assert load.read(wrk_says(), "x") == load.Load(10, 2.0, 0.5, 1.5)


@pytest.mark.parametrize("figures", [{"statuses": 1}, {"broken": 1}, {"requests": 0}])
def test_a_load_that_was_not_answered_well_counts_for_nothing(figures: dict[str, int]) -> None:
    with pytest.raises(BenchProblem):
        load.read(wrk_says(**figures), "x")


def test_where_all_are_to_be_refused_one_that_is_let_in_is_an_error() -> None:
    load.read(wrk_says(statuses=10), "x", refused=True)
    with pytest.raises(BenchProblem):
        load.read(wrk_says(statuses=9), "x", refused=True)


def test_the_processes_of_a_server_are_those_that_it_started_too() -> None:
    nested = (
        "import subprocess, sys\n"
        "c = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print(c.pid, flush=True)\ninput()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert family(process.pid) == [process.pid, child]
    process.communicate("\n")


# The client that keeps a rate


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers whatever comes, connection by connection in threads of their own."""

    def serve(connection: socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(4096):
                connection.sendall(answer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=[door.accept()[0]], daemon=True).start()

    with create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=accept, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(2)


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Busy(Server):
    """It works off what it was asked for: so much more at each look."""

    left = 5

    @property
    def cpu_seconds(self) -> float:
        self.left -= 1
        return -max(self.left, 0) * servers.A_LOOK


def test_who_has_been_measured_is_waited_for_until_the_work_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it had queued would be taken from the next one's time: they have one core."""
    monkeypatch.setattr(servers, "A_LOOK", 0.001)
    server = Busy(0, 0)
    server.settle()
    assert server.left < 0


def test_the_time_of_a_request_counts_from_when_it_was_due() -> None:
    """All are due at once and there is one connection: each waits for those before it."""
    with answering(GOOD) as port:
        client = Client(port, b"GET / HTTP/1.1\r\n\r\n", connections=1)
        client.run(iter([0.0] * 5))
        client.close()
    assert len(client.times) == 5
    assert client.times == sorted(client.times)


def test_the_client_takes_no_refusal_for_an_answer() -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
    with answering(refusal) as port, pytest.raises(Broken, match="401"):
        Client(port, b"GET / HTTP/1.1\r\n\r\n", connections=1)


def test_requests_are_due_at_the_rate_that_was_asked_for() -> None:
    due = list(moments(10_000, 1.0, random.Random(1)))
    assert due == sorted(due)
    assert 0 < due[0] < due[-1] < 1
    assert len(due) == pytest.approx(10_000, rel=0.05)


# Judging


def test_a_ratio_is_the_median_of_each_rounds_own() -> None:
    """A round in which the machine did something else meets both, and says nothing."""
    ours, theirs = rows([10, 50, 12], [20, 100, 20])
    assert ours.ratio(theirs, "micros") == 0.5


@pytest.mark.parametrize(
    ("found", "least", "verdict"),
    [
        (0.85, False, "within"),
        (0.86, False, "over"),
        (0.85, True, "within"),
        (0.84, True, "over"),
        (None, False, "not measured"),
        (None, True, "not measured"),
    ],
)
def test_a_limit_is_kept_up_to_its_bound(found: float | None, least: bool, verdict: str) -> None:
    judged = Judged(Limit("hot page", "micros", 0.85, NGINX, least=least), found)
    assert judged.verdict == verdict
    assert judged.kept == (verdict == "within")


def test_what_could_not_be_measured_is_not_kept() -> None:
    without = Table(HOT, "", [rows([10], [20])[0], Row(NGINX, [], "not installed")])
    verdicts = {each.limit.beside: each.verdict for each in limits.judge([without])}
    assert set(verdicts.values()) == {"not measured"}


def test_every_limit_is_of_something_that_is_measured() -> None:
    known = {*(each.name for each in scenarios(SITE)), *OTHERS, "equal load"}
    assert {limit.table for limit in limits.LIMITS} <= known
    assert {limit.figure for limit in limits.LIMITS} <= set(results.FIGURES)


# Who is missing


class Missing(contextlib.AbstractContextManager[Contender]):
    def __enter__(self) -> Contender:
        raise Absent("not installed: apt-get install it")

    def __exit__(self, *_: object) -> None:
        raise AssertionError("it never began")


def test_a_program_that_is_not_there_stops_nobody_and_its_row_says_so() -> None:
    found = Field([])
    with contextlib.ExitStack() as stack:
        enter(stack, found, NGINX, Missing())
    hot = scenarios(SITE)[0]
    made = table(hot, rows([10], [20])[:1], found.absent)
    assert made.rows[1] == Row(NGINX, [], "not installed: apt-get install it")
    assert "not installed: apt-get install it" in report.told(made)
    assert "| nginx |  | not installed: apt-get install it |" in page.grid(made)


def test_without_nginx_there_is_no_equal_load_and_the_page_says_so(tmp_path: Path) -> None:
    rounds = Rounds(rounds=1, seconds=1, cores=Cores(None, None), tell=print)
    gate = Contender(GATE, Server(0, 0), {}, True, {}, {})
    made = equal_load.measure(rounds, [gate], [Row(GATE, [{"rate": 1.0}])], tmp_path)
    assert page.grid(made).splitlines()[-1] == f"| {GATE} | not measured without nginx |"
    assert [each.verdict for each in limits.judge([made])] == ["not measured"]


def test_a_machine_without_caddy_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Absent, match="apt-get install caddy"):
        caddy.prepare(tmp_path, tmp_path, 1, "http://127.0.0.1:1/valid", {}, None)


def test_a_row_says_what_was_sent() -> None:
    answers = [Answer(200, {"content-encoding": "br"}, b"1234"), Answer(200, {}, b"12")]
    assert sent(answers) == "br, 6 bytes"
    assert sent([Answer(304, {}, b"")]) == ""
    both = [Row(name, [{"micros": 1.0}], "br, 6 bytes") for name in (GATE, NGINX)]
    assert page.grid(Table(HOT, "", both)).endswith("\n\nSent: br, 6 bytes by the gate, nginx.")


# The page


def test_results_come_back_as_they_were_saved(tmp_path: Path) -> None:
    made = Results("2026-01-01", "a machine", {"x": "1"}, [Table(HOT, "", rows([1, 2], [3, 4]))])
    results.save(made, tmp_path / "results.json")
    assert results.load(tmp_path / "results.json") == made


def test_the_page_is_made_of_the_results() -> None:
    """`python -m bench page` after a change of bench/performance.md or the figures."""
    assert page.FILE.read_text("utf-8") == page.build(results.load())


def test_a_page_can_be_made_of_a_part(tmp_path: Path) -> None:
    made = Results("2026-01-01", "a machine", {}, [Table("304", "", rows([1], [2]))])
    assert "| nginx | 2.0 | 2.00 |" in page.build(made)


def test_a_chart_has_its_figures_as_text() -> None:
    figure = ElementTree.fromstring(
        charts.bars(Table("a <b>", "", [*rows([10], [20]), Row("none")]), "micros")
    )
    (svg,) = figure.findall("svg")
    (title,) = svg.findall("title")
    assert svg.get("aria-labelledby") == title.get("id")
    assert title.text == "A <b>: µs of processor time a request"
    assert [text.text for text in svg.findall("text")] == [GATE, "10.0", NGINX, "20.0"]
    ours, theirs = svg.findall("rect")
    assert ours.get("class") == "ours"
    assert int(ours.get("width", "")) * 2 == int(theirs.get("width", ""))
