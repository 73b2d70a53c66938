"""Whatever is sent as the cookie: a session, or none, and never a failure."""

import pytest

from tests.conftest import KEY, OTHER_KEY, Gate, MakeGate, cookie_of
from tests.fakes import GOOD, FakeApi, FakeClock
from tests.raw import ask

NAME = "__Host-gate"


async def sealed(gate: Gate) -> str:
    """The value of a good cookie."""
    return (await gate.sign_in())["Cookie"].partition("=")[2]


def flipped(value: str, place: int) -> str:
    swapped = "A" if value[place] != "A" else "B"
    return value[:place] + swapped + value[place + 1 :]


ODD = {
    "empty": "",
    "text": "no-session",
    "bytes": "\xff\xfe\x80",
    "a byte at the end": "{value}\xff",
    "percent": "%67AAAA",
    "no padding": "gAAAAA",
    "long": "g" * 4097,
    "another scheme": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
    "JSON": "{{}}",
    "in quotes": '"{value}"',
    "twice": "{value} {value}",
    "behind what base64 passes over": "!!{value}",
    "an emoji": "\xf0\x9f\x8d\xaa",
}


@pytest.mark.parametrize("case", ODD)
async def test_a_value_of_any_bytes_is_no_session(gate: Gate, case: str) -> None:
    cookie = ODD[case].format(value=await sealed(gate))
    for path in ("/", "/assets/app.js", "/nowhere"):
        answer = await ask(gate, path, f"Cookie: {NAME}={cookie}")
        assert (answer.status, answer.cookies) == (401, [])
    taken = await ask(gate, f"/?token={GOOD}", f"Cookie: {NAME}={cookie}")
    assert (taken.status, len(taken.cookies)) == (303, 1)
    assert {line["gate.outcome"] for line in await gate.log()} == {"intake", "no_token"}


async def test_no_cut_and_no_changed_character_opens(gate: Gate) -> None:
    value = await sealed(gate)
    # the last character before the padding has bits that nothing reads
    places = [*range(0, len(value) - 3, 17), len(value) // 2]
    for cookie in [*(flipped(value, place) for place in places), value[:-5], value[4:]]:
        assert (await ask(gate, "/", f"Cookie: {NAME}={cookie}")).status == 401
    assert (await ask(gate, "/", f"Cookie: {NAME}={value}")).status == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("a=b; {name}={value}; c=d", 200),
        ("a=b;{name}={value}", 200),
        ("=;;; ,; {name}={value} ;", 200),
        ("\xff=\xff; {name}={value}", 200),
        ("{name}={value}; {name}={value}", 401),
        ("{name}={value}; {name}=planted", 401),
        ("{name}=planted; {name}={value}", 401),
        ("{name}; {name}={value}", 401),
        ("gate={value}", 401),
        ("{lower}={value}", 401),
        ("x{name}={value}", 401),
        ("{name}x={value}", 401),
        ("a={name}={value}", 401),
        ("{name} ={value}", 401),
        ("{name}", 401),
    ],
)
async def test_the_one_cookie_of_this_name_counts_and_two_are_none(
    gate: Gate, header: str, status: int
) -> None:
    value = await sealed(gate)
    cookie = header.format(name=NAME, lower=NAME.lower(), value=value)
    assert (await ask(gate, "/", f"Cookie: {cookie}")).status == status


async def test_cookies_in_two_headers_count_as_in_one(gate: Gate) -> None:
    value = await sealed(gate)
    ours = f"Cookie: {NAME}={value}"
    assert (await ask(gate, "/", "Cookie: a=b", ours)).status == 200
    assert (await ask(gate, "/", ours, f"Cookie: {NAME}=planted")).status == 401


async def test_a_cookie_from_the_future_or_of_another_key_is_no_session(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    gate, other = await make_gate(), await make_gate(keys=(OTHER_KEY,))
    clock.advance(7200)
    reader = await gate.sign_in()
    assert (await other.get("/", headers=reader)).status == 401
    clock.advance(-7200)
    assert (await gate.get("/", headers=reader)).status == 401
    outcomes = [line["gate.outcome"] for line in await gate.log()]
    assert outcomes == ["intake", "no_token"]


async def test_a_clock_that_goes_back_by_an_hour_signs_nobody_out_and_a_page_renews_the_cookie(
    make_gate: MakeGate, clock: FakeClock
) -> None:
    gate = await make_gate()
    reader = await gate.sign_in()
    clock.unix -= 3600
    answer = await gate.get("/", headers=reader)
    assert answer.status == 200
    renewed = cookie_of(answer)
    again = await gate.get("/", headers={"Cookie": renewed})
    assert (again.status, again.headers.get("Set-Cookie")) == (200, None), "it is right by now"
    clock.unix += 3600
    assert (await gate.get("/", headers={"Cookie": renewed})).status == 401, "an hour of idleness"
    assert (await gate.get("/", headers=reader)).status == 200


async def test_a_rotated_key_opens_old_cookies_and_the_newest_seals(make_gate: MakeGate) -> None:
    before = await make_gate(keys=(OTHER_KEY,))
    during, after = await make_gate(keys=(KEY, OTHER_KEY)), await make_gate(keys=(KEY,))
    old, new = await before.sign_in(), await during.sign_in()
    opened = [(await gate.get("/", headers=old)).status for gate in (before, during, after)]
    assert opened == [200, 200, 401]
    assert [(await gate.get("/", headers=new)).status for gate in (before, after)] == [401, 200]


@pytest.mark.parametrize("recheck", [True, False])
async def test_the_token_is_not_to_be_read_in_the_cookie_nor_two_cookies_alike(
    make_gate: MakeGate, api: FakeApi, recheck: bool
) -> None:
    gate = await make_gate(session={"recheck": recheck})
    api.tokens["x" * 64] = True
    cookies = {cookie_of(await gate.get(f"/?token={'x' * 64}")) for _ in range(3)}
    assert len(cookies) == 3
    assert not any("x" * 20 in cookie for cookie in cookies)
