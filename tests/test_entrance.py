"""What every request passes first: who asks, by which id, and whether it can be read at all."""

from typing import Any

import pytest

from tests.conftest import Gate, MakeGate
from tests.fakes import GOOD
from tests.raw import ask

ID = "Req_1.2-" + "x" * 120


async def logged(gate: Gate, *headers: str) -> dict[str, Any]:
    assert (await ask(gate, "/guide/?secret=1", *headers)).status == 401
    (line,) = await gate.log()
    return line


@pytest.mark.parametrize(
    ("stated", "kept"),
    [(ID, True), ("a", True), (ID + "x", False), ("", False), ("a b", False), ('a"b', False)],
)
async def test_a_request_id_of_a_trusted_proxy_is_kept_while_it_is_harmless(
    make_gate: MakeGate, stated: str, kept: bool
) -> None:
    gate = await make_gate(server={"trusted_proxies": ("127.0.0.0/8",)})
    found = (await logged(gate, f"X-Request-Id: {stated}"))["request.id"]
    assert (found == stated) is kept
    assert kept or (len(found) == 32 and int(found, 16) >= 0 and found == found.lower())


async def test_a_stranger_names_neither_its_request_nor_its_address(gate: Gate) -> None:
    line = await logged(gate, f"X-Request-Id: {ID}", "X-Forwarded-For: 192.0.2.1")
    assert line["request.id"] != ID
    assert line["client.address"] == "127.0.0.1"


async def test_the_address_in_the_log_is_the_one_that_trusted_proxies_state(
    make_gate: MakeGate,
) -> None:
    gate = await make_gate(server={"trusted_proxies": ("127.0.0.1", "10.0.0.0/8")})
    line = await logged(gate, "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.2.3")
    assert (line["client.address"], line["url.path"]) == ("192.0.2.1", "/guide/")


@pytest.mark.parametrize("host", ["", "a b", "a/b", "user@gate", "a,b", "[::1", "gate:port"])
async def test_a_host_that_is_none_is_malformed_whatever_else_the_request_brings(
    gate: Gate, host: str
) -> None:
    cookie = (await gate.sign_in())["Cookie"]
    for target in ("/", f"/?token={GOOD}", "/-/healthz"):
        answer = await ask(gate, target, f"Host: {host}", f"Cookie: {cookie}")
        assert (answer.status, answer.cookies) == (400, [])
    assert {line["gate.outcome"] for line in await gate.log()} == {"intake", "malformed"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LINK"])
async def test_a_site_path_takes_get_and_head_from_everyone_alike(gate: Gate, method: str) -> None:
    cookie = (await gate.sign_in())["Cookie"]
    ways = [("/", f"Cookie: {cookie}"), ("/nowhere", f"Cookie: {cookie}"), ("/", "A: b"),
            ("/nowhere", "A: b"), ("/", f"Authorization: Bearer {GOOD}")]  # fmt: skip
    for path, header in ways:
        answer = await ask(gate, path, header, method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert {line["gate.outcome"] for line in await gate.log()} == {"intake", "malformed"}
