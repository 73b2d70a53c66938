"""Default deny, by sweeps: of the router, of the index, of methods, and of paths that are not."""

import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from gate.app import ROUTES
from gate.site.index import Site, read_site
from tests.conftest import Gate, MakeGate, lasting_gate, make_docs_tree
from tests.fakes import GOOD
from tests.raw import Answer, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
OPEN = {"/-/healthz", "/-/readyz", "/-/gate.css", "/-/signed-out", "/-/frame", "/-/frame.js",
        "/-/embed.js", "/-/page.js", "/-/logo",
        "/-/sign-out", "/-/sign-in", "/-/sign-in.js", "/-/sign-in.css"}  # fmt: skip
"""The gate's own routes that answer a stranger's GET with a success."""

STRANGERS = {
    "a script": (),
    "a person": ("Sec-Fetch-Mode: navigate", "Accept: text/html"),
    "a guess": ("Cookie: __Host-gate=gAAAAABn", "Authorization: Basic dXNlcjpwYXNz"),
    "a prober": ("Range: bytes=0-1", "If-None-Match: *", "Accept-Encoding: br"),
}
UNKNOWN = ("/nowhere", "/guide/nowhere", "/guide%2f", "/%00", "/" + "a" * 300, "/.env", "/leak.txt",
           "/assets/", "/../site2/index.html", "/-", "//", "/guide/%2e%2e/")  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    sign_in = {
        "portal_url": "https://portal.example.com/docs?page={path}",
        "qr": {
            "preset": "device",
            "client_id": "docs",
            "device_url": "http://127.0.0.1:9/device",
            "token_url": "http://127.0.0.1:9/token",
        },
    }
    folder = tmp_path_factory.mktemp("routes")
    async with lasting_gate(folder, sign_in=sign_in) as (running, _):
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return read_site(make_docs_tree(tmp_path_factory.mktemp("index")), public=(), memory_bytes=0)


def shown(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but the moment and the request id."""
    told = [(name, value) for name, value in answer.headers.items() if name != "Date"]
    return answer.status, told, re.sub(rb"[0-9a-f]{32}", b"*", answer.body)


async def test_the_router_holds_the_listed_routes_and_the_site_and_nothing_else(gate: Gate) -> None:
    app = gate.server.app
    canonicals = [route.resource.canonical for route in app.router.routes() if route.resource]
    listed = app[ROUTES]
    assert set(canonicals) == {*listed, ""}
    assert all(path.startswith("/-/") for path in listed)


async def test_no_route_answers_a_stranger_with_success_but_the_open_ones(gate: Gate) -> None:
    listed = gate.server.app[ROUTES]
    for path, methods in listed.items():
        for method in METHODS:
            answer = await ask(gate, path, method=method)
            if method not in methods:
                assert answer.status == 405, (method, path)
                assert answer.headers["Allow"] == ", ".join(methods)
            else:
                opens = path in OPEN and method != "POST"
                assert (200 <= answer.status < 300) is opens, (method, path)
            assert answer.cookies == []


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_no_path_of_the_index_answers_a_stranger(
    gate: Gate, site: Site, stranger: str
) -> None:
    answers = set()
    for path in site:
        for method in METHODS:
            answer = await ask(gate, quote(path), *STRANGERS[stranger], method=method)
            answers.add((method, *map(repr, shown(answer))))
            assert answer.status == (401 if method in ("GET", "HEAD") else 405), (method, path)
            assert bool(answer.body) is (method != "HEAD")
            if answer.status == 405:
                assert answer.headers["Allow"] == "GET, HEAD"
    assert len(answers) == len(METHODS), "some path is answered differently from another"


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_unknown_paths_answer_strangers_byte_for_byte_like_known_ones(
    gate: Gate, stranger: str
) -> None:
    for method in METHODS:
        known = await ask(gate, "/guide/", *STRANGERS[stranger], method=method)
        for path in UNKNOWN:
            unknown = await ask(gate, path, *STRANGERS[stranger], method=method)
            assert shown(unknown) == shown(known), (method, path)
            assert b"nowhere" not in unknown.body


async def test_whoever_brings_a_refused_token_cannot_tell_either(gate: Gate) -> None:
    bad = "Authorization: Bearer bad-token"
    known = shown(await ask(gate, "/guide/", bad))
    for path in UNKNOWN:
        assert shown(await ask(gate, path, bad)) == known


@pytest.mark.asyncio(loop_scope="function")
async def test_public_paths_are_open_and_their_neighbours_are_not(
    make_gate: MakeGate, site: Site
) -> None:
    gate = await make_gate(site={"public": ("/assets/**", "/guide/")})
    for path in site:
        open_to_all = path.startswith("/assets/") or path in ("/guide", "/guide/")
        for method in ("GET", "HEAD"):
            answer = await ask(gate, quote(path), method=method)
            assert (answer.status in (200, 301)) is open_to_all, path
        assert (await ask(gate, quote(path), method="POST")).status == 405
    for path in ("/assets/nowhere.css", "/assets/../index.html", "/Assets/app.js", "/guide/deep/"):
        assert (await ask(gate, path)).status == 401
    outcomes = {line["gate.outcome"] for line in await gate.log()}
    assert outcomes == {"public", "no_token", "malformed"}


@pytest.mark.asyncio(loop_scope="function")
async def test_a_form_intake_that_is_turned_off_is_not_there(make_gate: MakeGate) -> None:
    gate = await make_gate(intake={"form": False, "query": "", "bearer": False})
    form = ("Content-Type: application/x-www-form-urlencoded", f"Origin: {gate.origin}")
    posted = await ask(gate, "/-/session", *form, method="POST", body=b"token=good-token")
    queried = await ask(gate, f"/?token={GOOD}")
    borne = await ask(gate, "/", f"Authorization: Bearer {GOOD}")
    assert [posted.status, queried.status, borne.status] == [404, 401, 401]
    assert {line["gate.outcome"] for line in await gate.log()} == {"public", "no_token"}
