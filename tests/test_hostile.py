"""Attacks by raw socket, since clients tidy them away: nothing escapes, breaks, hangs or leaves."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.attacks import REDIRECTS, TRAVERSALS, lines, probes
from tests.conftest import DATA, Gate, lasting_gate
from tests.fakes import GOOD
from tests.raw import Answer, ask, exchange, parse, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 20
MISSING = (DATA / "404.html").read_bytes()

RETURNS = lines(REDIRECTS, "oauth2-proxy_openredirects.txt")
ESCAPES = lines(TRAVERSALS, "patt_directory_traversal.txt")
CASES = probes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gate(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    async with lasting_gate(tmp_path_factory.mktemp("hostile")) as (running, _):
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gate]:
    """One that gives up unfinished requests soon."""
    short = {"keepalive_timeout": 0.3, "header_timeout": 0.3}
    async with lasting_gate(tmp_path_factory.mktemp("hasty"), server=short) as (running, _):
        yield running


def targets(payload: str, query: str = "") -> list[bytes]:
    """A payload as a request target, alone and under a slash, as far as one line can hold it."""
    joint = "&" if "?" in payload else "?"
    text = re.sub(r"[\r\n ]", lambda found: quote(found[0]), payload)
    whole = (text + (joint + query if query else "")).encode("utf-8", "surrogateescape")
    return [whole, b"/" + whole]


async def asked(gate: Gate, wanted: list[bytes], *headers: str) -> list[tuple[bytes, Answer]]:
    """Each target on a connection of its own, some at once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(target: bytes) -> tuple[bytes, Answer]:
        async with turn:
            return target, await ask(gate, target, *headers)

    return await asyncio.gather(*map(one, wanted))


def stays(location: str) -> bool:
    """Whether a browser that is sent there stays on the site: it drops tabs and line ends, and
    takes a backslash for a slash (WHATWG URL, section 4.4)."""
    seen = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33))))).replace("\\", "/")
    return seen.startswith("/") and not seen.startswith("//")


@pytest.mark.parametrize("name", RETURNS)
async def test_no_next_leads_off_the_site(gate: Gate, name: str) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(payload: str) -> str | None:
        async with turn:
            answer = await gate.post(
                "/-/session",
                data=f"token={GOOD}&next={quote(payload, errors='surrogateescape')}",
                headers={
                    "Origin": gate.origin,
                    "Content-Type": "application/x-www-form-urlencoded",
                    # idle ones are soon closed here, and no client sends a POST twice
                    "Connection": "close",
                },
            )
        # bytes that are no UTF-8 are no form
        return None if answer.status == 400 else answer.headers["Location"]

    found = await asyncio.gather(*map(one, RETURNS[name]))
    locations = {location for location in found if location is not None}
    assert {re.split(r"[?#]", location)[0] for location in locations} == {"/"}
    assert all(map(stays, locations))


@pytest.mark.parametrize("name", RETURNS)
async def test_no_path_with_a_token_redirects_off_the_site(gate: Gate, name: str) -> None:
    wanted = [each for line in RETURNS[name] for each in targets(line, f"token={GOOD}")]
    for target, answer in await asked(gate, wanted):
        assert answer.status in (303, 400), target
        if answer.status == 303:
            assert stays(answer.headers["Location"]), target
            assert GOOD not in answer.headers["Location"]
            assert len(answer.cookies) == 1


@pytest.mark.parametrize("name", RETURNS)
async def test_no_path_redirects_a_reader_off_the_site(gate: Gate, name: str) -> None:
    cookie = (await gate.sign_in())["Cookie"]
    wanted = [each for line in RETURNS[name] for each in targets(line)]
    for target, answer in await asked(gate, wanted, f"Cookie: {cookie}"):
        assert answer.status in (200, 404, 400), target
        assert "Location" not in answer.headers


@pytest.mark.parametrize("name", ESCAPES)
async def test_no_path_leads_out_of_the_site_or_to_what_is_hidden_in_it(
    gate: Gate, name: str
) -> None:
    cookie = (await gate.sign_in())["Cookie"]
    payloads = [line.replace("{FILE}", "etc/passwd") for line in ESCAPES[name]]
    wanted = [each for payload in payloads for each in targets(payload)]
    for target, answer in await asked(gate, wanted, f"Cookie: {cookie}"):
        assert (answer.status, answer.body) == (404, MISSING) or answer.status == 400, target
    for target, answer in await asked(gate, wanted):
        assert answer.status in (400, 401), target


def addressed(gate: Gate, step: bytes) -> bytes:
    host, port = gate.host.encode(), str(gate.port).encode()
    for slot, value in (("HOST", host + b":" + port), ("HOSTNAME", host), ("PORT", port)):
        step = step.replace(f"@@{slot}@@".encode(), value)
    return step


def to_the_form(gate: Gate, step: bytes) -> bytes:
    """The same request to the one place that reads bodies."""
    line, host = b"POST / HTTP/1.1\r\n", f"Host: {gate.host}:{gate.port}\r\n".encode()
    origin = f"Origin: {gate.origin}\r\nContent-Type: application/json\r\n".encode()
    return step.replace(line + host, b"POST /-/session HTTP/1.1\r\n" + host + origin)


@pytest.mark.parametrize("name", CASES)
async def test_no_request_breaks_the_gate_hangs_it_or_is_answered_twice(
    hasty: Gate, name: str
) -> None:
    async def one(case: str, sent: Sequence[bytes]) -> None:
        got = await exchange(hasty, *sent)
        found = statuses(got)
        assert len(found) <= len(sent), case
        assert set(found) <= {400, 401, 403, 405, 413, 414, 415, 417, 431}, case
        assert b"HTTP/1.1 101" not in got, case

    cases = {
        case: [addressed(hasty, step) for step in steps] for case, steps in CASES[name].items()
    }
    await asyncio.gather(
        *(one(case, steps) for case, steps in cases.items()),
        *(one(case, [to_the_form(hasty, step) for step in steps]) for case, steps in cases.items()),
    )
    assert parse(await exchange(hasty, b"GET /-/healthz HTTP/1.0\r\n\r\n")).status == 200


MUST_REFUSE = (
    "bare LF", "no host", "two hosts", "empty host", "host with userinfo", "host with path",
    "two hosts in one", "folded header", "space before colon", "fragment", "asterisk", "authority",
    "bytes in target", "tab in target", "NUL in header", "long target", "long cookie",
    "two lengths", "odd length", "length and chunks", "length and chunks, smuggled", "empty coding",
    "unknown coding", "odd chunk",
)  # fmt: skip


@pytest.mark.parametrize("case", MUST_REFUSE)
async def test_what_two_servers_could_read_differently_is_refused_and_the_connection_closed(
    hasty: Gate, case: str
) -> None:
    first, *_ = CASES["our own"][case]
    got = await exchange(hasty, addressed(hasty, first) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert statuses(got)[0] in (400, 414, 431)
    assert len(statuses(got)) == 1
