"""The headers that a frame lives by, byte for byte, on every response that we make."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gate.serving import Files
from tests.conftest import Gate, MakeGate, lasting_gate
from tests.fakes import BAD, GOOD, FakeApi
from tests.raw import Answer, ask, exchange, parse, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTAL, OWN = "https://portal.example", "https://docs.example"
ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age="
DELETION = f"__Host-gate={ATTRIBUTES}0"
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Server": "docs-gate",
}
ANCESTORS = f"frame-ancestors {PORTAL} https://second.example:8443 'self'"
PAGE = (  # none of these pages has a script
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; "
    "frame-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
)
OWN_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; "
)
FILE = ""  # it can run nothing


@dataclass(frozen=True)
class Way:
    """A request, and what its answer is. `reader` sends a session."""

    status: int
    path: str
    headers: tuple[str, ...] = ()
    method: str = "GET"
    body: bytes = b""
    reader: bool = True
    caching: str = "no-store"
    cookie: str = "none"
    policy: str = OWN_PAGE
    corp: str = "same-origin"

    def __str__(self) -> str:
        return f"{self.status} {self.method} {self.path}"


ORIGIN = f"Origin: {PORTAL}"
REVALIDATE = "private, no-cache"
WAYS = [
    Way(200, "/", caching=REVALIDATE, policy=PAGE),
    Way(200, "/assets/main.0a1b2c3d.css", caching="private, max-age=31536000, immutable",
        policy=FILE),
    Way(200, "/", reader=False, headers=(f"Authorization: Bearer {GOOD}",), caching=REVALIDATE,
        policy=PAGE),
    Way(200, "/single.html", reader=False, caching=REVALIDATE, policy=PAGE),
    Way(200, "/-/healthz", reader=False),
    Way(200, "/-/readyz", reader=False),
    Way(200, "/-/gate.css", reader=False, corp="cross-origin"),
    Way(200, "/-/signed-out", reader=False),
    Way(204, "/-/session", (ORIGIN, JSON), "POST", b'{"token": "good-token"}', False, cookie="new"),
    Way(204, "/-/sign-out", (ORIGIN, JSON), "POST", b"{}", cookie="gone"),
    Way(206, "/assets/app.js", ("Range: bytes=0-3",), caching=REVALIDATE, policy=PAGE),
    Way(301, "/guide", caching=REVALIDATE),
    Way(303, f"/guide?token={GOOD}", reader=False, cookie="new"),
    Way(303, f"/guide?token={GOOD}"),
    Way(303, "/-/session", (ORIGIN, FORM), "POST", b"token=good-token", False, cookie="new"),
    Way(303, "/-/sign-out", (ORIGIN,), "POST", cookie="gone"),
    Way(304, "/", ("If-None-Match: *",), caching=REVALIDATE, policy=PAGE),
    Way(400, "/?token=a&token=b"),
    Way(400, "/#fragment"),
    Way(400, "/", ("Host: not a host",)),
    Way(400, f"/?token={'x' * 3500}", reader=False),
    Way(401, "/", reader=False),
    Way(401, "/", (f"Authorization: Bearer {BAD}",)),
    Way(401, f"/?token={BAD}", cookie="gone"),
    Way(401, "/?token=", reader=False, cookie="gone"),
    Way(401, "/-/session", (ORIGIN, FORM), "POST", b"token=bad-token", cookie="gone"),
    Way(403, "/-/session", ("Origin: null", FORM), "POST", b"token=good-token"),
    Way(403, "/-/sign-out", (), "POST"),
    Way(403, f"/?token={GOOD}", ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe",
                                 "Referer: https://evil.example/")),
    Way(404, "/nowhere", policy=PAGE),
    Way(404, "/-/nowhere", reader=False),
    Way(405, "/", method="POST", reader=False),
    Way(405, "/-/session", reader=False),
    Way(413, "/-/session", (ORIGIN, FORM), "POST", b"token=" + b"x" * 40_000),
    Way(415, "/-/session", (ORIGIN, "Content-Type: text/plain"), "POST", b"token=good-token"),
    Way(416, "/", ("Range: bytes=9999-",), policy=PAGE),
    Way(417, "/", ("Expect: miracles",)),
    Way(503, "/?token=unasked", reader=False),
    Way(503, "/", ("Authorization: Bearer unasked",)),
]  # fmt: skip


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[0, 256], ids=["streamed", "in-memory"]
)
async def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Gate, FakeApi]]:
    async with lasting_gate(
        tmp_path_factory.mktemp("embedding"),
        server={"public_url": OWN},
        site={"memory_mib": request.param, "public": ("/single.html",)},
        frame={"allowed_origins": (PORTAL, "https://second.example:8443")},
    ) as (gate, api):
        api.tokens["unasked"] = "maybe"
        yield gate, api


@pytest.fixture
def gate(both: tuple[Gate, FakeApi]) -> Gate:
    return both[0]


async def taken(gate: Gate, way: Way) -> Answer:
    cookies = [f"Cookie: {(await gate.sign_in())['Cookie']}"] if way.reader else []
    return await ask(gate, way.path, *cookies, *way.headers, method=way.method, body=way.body)


def check(answer: Answer, way: Way) -> None:
    assert answer.status == way.status
    for name, value in HEADERS.items():
        assert answer.headers.getall(name) == [value], name
    assert answer.headers.getall("Content-Security-Policy") == [way.policy + ANCESTORS]
    assert "Content-Security-Policy-Report-Only" not in answer.headers
    assert answer.headers.getall("Cache-Control") == [way.caching]
    assert answer.headers.getall("Cross-Origin-Resource-Policy") == [way.corp]
    assert "X-Frame-Options" not in answer.headers
    patterns = {
        "none": "",
        "new": f"__Host-gate=[A-Za-z0-9_=-]+{ATTRIBUTES}3600",
        "gone": re.escape(DELETION),
    }
    assert re.fullmatch(patterns[way.cookie], "|".join(answer.cookies))
    if answer.body:
        assert answer.headers["Content-Type"]


@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_every_response_wears_the_headers_and_only_intake_and_sign_out_touch_the_cookie(
    gate: Gate, way: Way
) -> None:
    check(await taken(gate, way), way)


async def test_a_failure_wears_them_too_and_tells_no_detail(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the reason")

    way = Way(500, "/guide")
    cookie = await gate.sign_in()
    monkeypatch.setattr(Files, "redirect", fail)
    for kind in ("Accept: text/html", "Accept: */*"):
        answer = await ask(gate, way.path, f"Cookie: {cookie['Cookie']}", kind)
        check(answer, way)
        request_id = re.search(rb"[0-9a-f]{32}", answer.body)
        assert request_id is not None
        assert b"reason" not in answer.body
        assert f"request {request_id[0].decode()} failed" in caplog.text


async def test_refusals_name_the_scheme_and_outages_the_time_to_wait(gate: Gate) -> None:
    for way in WAYS:
        answer = await taken(gate, way)
        assert answer.headers.getall("WWW-Authenticate", []) == ["Bearer"] * (way.status == 401)
        assert ("Retry-After" in answer.headers) is (way.status == 503)
        assert ("Allow" in answer.headers) is (way.status == 405)


async def test_the_cookie_is_at_most_4096_bytes_with_its_attributes(
    both: tuple[Gate, FakeApi],
) -> None:
    gate, api = both
    sizes = []
    for length in range(2700, 2960, 20):
        token = "x" * length
        api.tokens[token] = True
        answer = await ask(gate, f"/?token={token}")
        assert (answer.status, len(answer.cookies)) in {(303, 1), (400, 0)}
        sizes.append(sum(map(len, answer.cookies)))
        assert api.calls[token] == len(answer.cookies)
    assert 3900 < max(sizes) <= 4096
    assert 0 in sizes


@pytest.mark.parametrize(
    ("frame", "ancestors"),
    [
        ({}, "frame-ancestors 'none'"),
        (
            {"allowed_origins": ("http://localhost:81",)},
            "frame-ancestors http://localhost:81 'self'",
        ),
    ],
)
@pytest.mark.asyncio(loop_scope="function")
async def test_nobody_frames_us_by_default_and_nothing_derives_from_no_public_url(
    make_gate: MakeGate, frame: dict[str, tuple[str, ...]], ancestors: str
) -> None:
    gate = await make_gate(frame=frame, session={"cookie_name": "docs"})
    answer = await ask(gate, f"/?token={GOOD}")
    assert answer.headers.getall("Content-Security-Policy") == [OWN_PAGE + ancestors]
    assert "Strict-Transport-Security" not in answer.headers
    assert answer.cookies[0].startswith("__Host-docs=")


@pytest.mark.asyncio(loop_scope="function")
async def test_what_the_parser_refuses_is_answered_once_and_closed(make_gate: MakeGate) -> None:
    gate = await make_gate()
    got = await exchange(gate, b"GET / HTTP/1.1\r\nHost: x\r\nbroken\r\n\r\n")
    assert statuses(got) == [400]
    assert parse(got).cookies == []
    (line,) = await gate.log()
    assert (line["http.response.status_code"], line["gate.outcome"]) == (400, "malformed")
