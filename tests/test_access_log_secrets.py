"""What the log may tell and in which form: never a secret, nothing that moves a cursor."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from gate.scope import request_id
from tests.conftest import OTHER_KEY, Gate, MakeGate
from tests.fakes import FakeApi, FakeClock
from tests.in_turn import in_turn
from tests.processes import gate_process, write_config
from tests.raw import exchange, statuses

FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
JSON = "Content-Type: application/json\r\n"
ORIGIN = "Origin: http://HOST\r\n"

# whatever a client can say, but for the path and the User-Agent, which are told on purpose
PLACES = [
    "GET /?token=CANARY HTTP/1.1\r\n",
    "GET /?token=good-CANARY HTTP/1.1\r\n",
    "GET /?token=good-CANARY&token=CANARY HTTP/1.1\r\n",
    "GET /guide?x=CANARY HTTP/1.1\r\n",
    "GET /guide%3Ftoken=CANARY HTTP/1.1\r\n",
    "GET /guide%253ftoken%253dCANARY HTTP/1.1\r\n",
    "GET /guide/&token=CANARY HTTP/1.1\r\n",
    "GET /guide/;token=CANARY HTTP/1.1\r\n",
    "GET /%23token=CANARY HTTP/1.1\r\n",
    "GET /#token=CANARY HTTP/1.1\r\n",
    "GET http://CANARY@HOST/?CANARY HTTP/1.1\r\n",
    "GET /?token=CANARY\x00 HTTP/1.1\r\n",
    "GET /?" + "CANARY" * 2000 + " HTTP/1.1\r\n",
    "GET /?token=CANARY HTTP/7.CANARY\r\n",
    "CANARY / HTTP/1.1\r\n",
    "token=CANARY\r\n",
    "GET / HTTP/1.1\r\nAuthorization: Bearer CANARY\r\n",
    "GET / HTTP/1.1\r\nAuthorization: Bearer good-CANARY\r\n",
    "GET / HTTP/1.1\r\nAuthorization: Bearer CANARY\x00\r\n",
    "GET / HTTP/1.1\r\nAuthorization: Bearer CANARY CANARY\r\n",
    "GET / HTTP/1.1\r\nAuthorization: Basic CANARY\r\n",
    "GET / HTTP/1.1\r\nCookie: __Host-gate=CANARY\r\n",
    "GET / HTTP/1.1\r\nCookie: __Host-gate=CANARY; __Host-gate=CANARY\r\n",
    "GET / HTTP/1.1\r\nCookie: __Host-gate=CANARY\xff; CANARY\r\n",
    "GET / HTTP/1.1\r\nCookie: __Host-gate=" + "CANARY" * 4000 + "\r\n",
    "GET / HTTP/1.1\r\nCookie : CANARY\r\n",
    "GET / HTTP/1.1\r\nCANARY\r\n",
    "GET / HTTP/1.1\r\nReferer: http://HOST/?token=CANARY\r\n",
    "GET / HTTP/1.1\r\nX-Request-Id: CANARY\r\nX-Forwarded-For: CANARY\r\n",
    "GET / HTTP/1.1\r\nForwarded: for=CANARY;host=CANARY\r\n",
    "GET / HTTP/1.1\r\nExpect: CANARY\r\n",
    "GET / HTTP/1.1\r\nUpgrade: CANARY\r\n",
    "GET / HTTP/1.1\r\nRange: CANARY\r\nIf-None-Match: CANARY\r\nAccept-Encoding: CANARY\r\n",
    "GET / HTTP/1.1\r\nHost: CANARY\r\n",
    "GET / HTTP/1.1\r\nTransfer-Encoding: CANARY\r\n",
    "GET / HTTP/1.1\r\nContent-Length: CANARY\r\n",
    "POST /-/session HTTP/1.1\r\nOrigin: http://CANARY\r\n",
    "POST /-/sign-out?token=CANARY HTTP/1.1\r\nOrigin: http://CANARY\r\n",
    f"POST /-/session HTTP/1.1\r\n{ORIGIN}Content-Type: text/CANARY\r\n",
]
BODIES = [
    (FORM, "token=CANARY"),
    (FORM, "token=good-CANARY&next=/?CANARY"),
    (FORM, "token=CANARY&token=CANARY2"),
    (FORM, "token=%FFCANARY"),
    (FORM, "CANARY"),
    (JSON, '{"token": "CANARY"}'),
    (JSON, '{"token": "good-CANARY", "next": "CANARY"}'),
    (JSON, '{"token": ["CANARY"]}'),
    (JSON, '{"CANARY'),
]

in_one_worker = pytest.mark.parametrize("make_gate", [1], indirect=True)


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def make_gate(make_gate: MakeGate, request: pytest.FixtureRequest, clock: FakeClock) -> MakeGate:
    return in_turn(make_gate, request.param, clock)


def requests(host: str) -> list[bytes]:
    """Every place as a whole request, each for a connection of its own."""
    end = f"Host: {host}\r\nConnection: close\r\n\r\n"
    posts = [
        f"POST /-/session HTTP/1.1\r\n{ORIGIN}{kind}Content-Length: {len(body)}\r\n{end}{body}"
        for kind, body in BODIES
    ]
    chunked = f"POST /-/session HTTP/1.1\r\n{ORIGIN}{FORM}Transfer-Encoding: chunked\r\n{end}"
    whole = [*(place + end for place in PLACES), *posts, chunked + "CANARY\r\ntoken=CANARY\r\n"]
    return [each.replace("HOST", host).encode("latin-1") for each in whole]


async def send(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    got = await reader.read()
    writer.close()
    return got


async def test_no_secret_is_in_any_line_wherever_a_client_puts_it(
    tmp_path: Path, docs_tree: Path, api: FakeApi
) -> None:
    api.tokens = {"good-CANARY": {"ok": True, "sub": "anna", "echo": "CANARY"}}
    log = '[log]\nlevel = "debug"\nsubject = "plain"'
    write_config(tmp_path, root=docs_tree, verify=f"{api.url}?key=CANARY", more=log)
    environ = {"GATE_VERIFY__ACTIVE": "/ok", "GATE_VERIFY__HEADERS": '{"X-Key": "CANARY"}'}
    async with gate_process("serve", cwd=tmp_path, environ=environ) as process:
        port = await process.port()
        got = [await send(port, each) for each in requests(f"127.0.0.1:{port}")]
        cookies = re.findall(rb"__Host-gate=([^;]+)", b"".join(got))
        got += [
            await send(port, b"GET / HTTP/1.0\r\nCookie: __Host-gate=%b\r\n\r\n" % cookie)
            for cookie in cookies
        ]
        api.fail(text="CANARY")
        got.append(await send(port, b"GET /?token=new-CANARY HTTP/1.0\r\n\r\n"))
        assert await process.stop() == 0
    answered = [status for each in got for status in statuses(each)]
    assert len(answered) == len(got)
    assert {200, 303, 400, 401, 403, 415, 417, 503} <= set(answered)
    assert len(process.out.splitlines()) == len(got)
    assert len(cookies) == 4
    for printed in (process.out, process.err):
        assert "CANARY" not in printed
        assert not any(cookie.decode() in printed for cookie in cookies)
    assert "anna" in process.out


# what is told of a reader


async def subjects(gate: Gate, api: FakeApi, *names: object) -> list[object]:
    """What the log calls readers of these names; None where it says nothing."""
    for number, name in enumerate(names):
        api.say({"ok": True, "sub": name})
        await gate.get(f"/?token=t{number}")
    return [line.get("gate.subject") for line in await gate.log()]


async def test_a_subject_is_told_as_a_hash_that_only_our_key_makes(
    make_gate: MakeGate, api: FakeApi
) -> None:
    verify = {"active": "/ok"}
    told = await subjects(await make_gate(verify=verify), api, "anna", "berta", "anna", 7, None)
    elsewhere = await subjects(await make_gate(verify=verify, keys=(OTHER_KEY,)), api, "anna")
    assert all(re.fullmatch("[0-9a-f]{16}", str(each)) for each in told[:4])
    assert told[0] == told[2]
    assert len({*told, *elsewhere}) == 5
    assert told[4] is None


async def test_a_subject_is_told_plainly_or_not_at_all_where_that_is_wanted(
    make_gate: MakeGate, api: FakeApi
) -> None:
    verify, names = {"active": "/ok"}, ("ünal\n", "x" * 2000)
    plain = await make_gate(verify=verify, log={"subject": "plain"})
    assert await subjects(plain, api, *names) == ["ünal\n", "x" * 512]
    off = await make_gate(verify=verify, log={"subject": "off"})
    assert await subjects(off, api, *names) == [None, None]


async def test_without_access_log_there_are_no_lines(make_gate: MakeGate) -> None:
    gate = await make_gate(log={"access": False})
    await gate.sign_in()
    await exchange(gate, b"nonsense\r\n\r\n")
    assert await gate.log() == []


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        (["0af7651916cd43dd8448eb211c80319c"], True),
        (["a.B_c-9"], True),
        (["x" * 128], True),
        (["x" * 129], False),
        ([""], False),
        (["a b"], False),
        (["a\n"], False),
        (["ä"], False),
        (["a;b"], False),
        (["one", "two"], False),
        ([], False),
    ],
)
def test_a_request_id_is_kept_from_a_trusted_proxy_alone_and_if_harmless(
    stated: list[str], kept: bool
) -> None:
    assert (request_id(stated, trusted=True) in stated) is kept
    assert re.fullmatch("[0-9a-f]{32}", request_id(stated, trusted=True)) or kept
    assert request_id(stated, trusted=False) not in stated


@pytest.mark.parametrize(
    ("trusted", "address", "identity"),
    [(["127.0.0.1"], "192.0.2.7", "from-proxy"), ([], "127.0.0.1", None)],
)
async def test_lines_have_the_address_and_id_that_a_trusted_proxy_states(
    make_gate: MakeGate, trusted: list[str], address: str, identity: str | None
) -> None:
    gate = await make_gate(server={"trusted_proxies": trusted})
    stated = {"X-Forwarded-For": "192.0.2.7", "X-Request-Id": "from-proxy"}
    await gate.get("/", headers=stated)
    (line,) = await gate.log()
    assert line["client.address"] == address
    assert (line["request.id"] == "from-proxy") is (identity is not None)


# lines for people


async def console(make_gate: MakeGate, path: str, **options: Any) -> str:
    """The line of one request, as people get it."""
    log = {"format": "console", "subject": "plain"}
    gate = await make_gate(verify={"active": "/ok"}, log=log)
    await gate.get(path, **options)
    await gate.server.close()
    return gate.lines.raw.decode("utf-8")


async def test_a_line_for_people_says_when_what_and_who(make_gate: MakeGate, api: FakeApi) -> None:
    api.say({"ok": True, "sub": "anna"})
    line = await console(make_gate, "/guide/?token=CANARY")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  303  intake      GET  /guide/  \d+\.\d ms"
        r"  anna  asked the verify API: \d+ ms\n",
        line,
    )


async def test_a_line_for_people_names_the_request_that_failed(
    make_gate: MakeGate, api: FakeApi
) -> None:
    api.fail()
    assert re.search(r"  request [0-9a-f]{32}\n$", await console(make_gate, "/?token=x"))


@in_one_worker
async def test_nothing_in_a_line_for_people_moves_the_cursor(
    make_gate: MakeGate, api: FakeApi
) -> None:
    log = {"format": "console", "subject": "plain"}
    gate = await make_gate(verify={"active": "/ok"}, log=log)
    names = ["\x1b[2J", "\n00:00:00  200", "\r", "\u202eevil", "\x9b31m", "\ud800", "\u2028"]
    for number, name in enumerate(names):
        api.say({"ok": True, "sub": name})
        await gate.get(f"/?token=t{number}")
    for path in (b"\xc2\x9b2J", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\x9b\xff"):
        await exchange(gate, b"GET /" + path + b" HTTP/1.0\r\n\r\n")
    await gate.server.close()
    lines = gate.lines.raw.decode("utf-8").split("\n")
    assert len(lines) == len(names) + 4 + 1
    assert all(line.isprintable() for line in lines)
