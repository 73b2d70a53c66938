"""Refused tokens are counted; whoever is refused too often waits, and nobody else does."""

import pytest

from gate.config.settings import LimitSettings
from gate.limits import REMEMBERED, WINDOW, FailureLimits, place_of
from tests.conftest import MakeGate
from tests.fakes import GOOD, FakeApi, FakeClock

SCRIPT = {"User-Agent": "bad-script/1"}
PERSON = {"User-Agent": "Mozilla/5.0"}


def limits(clock: FakeClock, client: int = 3, address: int = 9, every: int = 20) -> FailureLimits:
    settings = LimitSettings(
        failures_per_client=client, failures_per_address=address, failures_in_all=every
    )
    return FailureLimits(settings, clock.monotonic)


def test_a_client_may_fail_so_often_and_then_waits_its_share(clock: FakeClock) -> None:
    counted = limits(clock)
    for _ in range(3):
        assert counted.wait("192.0.2.1", "a") == 0
        counted.failed("192.0.2.1", "a")
    assert counted.wait("192.0.2.1", "a") == 21
    assert counted.wait("192.0.2.1", "b") == 0
    assert counted.wait("192.0.2.2", "a") == 0
    clock.advance(WINDOW / 3)
    assert counted.wait("192.0.2.1", "a") == 0


def test_an_address_with_many_names_is_stopped_too(clock: FakeClock) -> None:
    counted = limits(clock)
    for number in range(9):
        counted.failed("192.0.2.1", f"name {number}")
    assert counted.wait("192.0.2.1", "another") > 0
    assert counted.wait("192.0.2.2", "another") == 0


def test_so_is_everybody_together(clock: FakeClock) -> None:
    counted = limits(clock)
    for number in range(20):
        counted.failed(f"192.0.2.{number}", "a")
    assert counted.wait("198.51.100.7", "a") > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix", "unix", True),
    ],
)
def test_an_address_of_ipv6_is_its_first_half(
    clock: FakeClock, one: str, other: str, same: bool
) -> None:
    counted = limits(clock)
    for _ in range(3):
        counted.failed(one, "a")
    assert (counted.wait(other, "a") > 0) is same


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_place_has_one_name(address: str, place: str) -> None:
    assert place_of(address) == place
    assert place_of(place) == place


def test_zero_is_no_limit(clock: FakeClock) -> None:
    counted = limits(clock, 0, 0, 0)
    for _ in range(1000):
        counted.failed("192.0.2.1", "a")
    assert counted.wait("192.0.2.1", "a") == 0


def test_memory_is_bounded(clock: FakeClock) -> None:
    counted = limits(clock)
    for number in range(REMEMBERED):
        counted.failed(f"{number}", f"{number}")
    assert len(counted) <= REMEMBERED


async def test_a_script_is_stopped_and_its_office_is_not(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await make_gate(limits={"failures_per_client": 5}, cache={"negative_ttl": 0})
    for number in range(5):
        assert (await gate.get(f"/?token=bad{number}", headers=SCRIPT)).status == 401
    asked = api.count
    for number in range(20):
        answer = await gate.get(f"/?token=worse{number}", headers=SCRIPT)
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        bearer = {**SCRIPT, "Authorization": f"Bearer worst{number}"}
        assert (await gate.get("/", headers=bearer)).status == 429
    assert api.count == asked
    assert (await gate.get(f"/?token={GOOD}", headers=PERSON)).status == 303
    clock.advance(WINDOW)
    assert (await gate.get("/?token=bad", headers=SCRIPT)).status == 401


async def test_a_session_and_a_token_that_is_known_as_good_are_never_stopped(
    make_gate: MakeGate,
) -> None:
    gate = await make_gate(limits={"failures_per_client": 2})
    cookie = await gate.sign_in()
    for number in range(3):
        await gate.get(f"/?token=bad{number}")
    assert (await gate.get("/?token=bad")).status == 429
    assert (await gate.get("/", headers=cookie)).status == 200
    assert (await gate.get(f"/?token={GOOD}", headers=cookie)).status == 303
    assert (await gate.get("/", headers={"Authorization": f"Bearer {GOOD}"})).status == 200


async def test_successes_are_not_counted(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(limits={"failures_per_client": 2})
    for number in range(20):
        api.tokens[f"good{number}"] = True
        assert (await gate.get(f"/?token=good{number}")).status == 303
