"""The breaker: when not to ask."""

import pytest

from gate.verify.breaker import FAILURES, LONGEST_PAUSE, PROBE_LAST, RETRY_SAVINGS, Breaker
from tests.fakes import FakeClock


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock.monotonic, uniform=lambda: 0.0)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.wait() == 0
        breaker.failed()


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    assert breaker.wait() == 0
    breaker.failed()
    assert breaker.is_open
    assert breaker.wait() == 1.0


def test_a_success_in_between_begins_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, FAILURES - 1)
    assert not breaker.is_open


def test_one_probe_at_a_time_goes_through(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, FAILURES)
    clock.advance(1)
    assert breaker.wait() == 0
    assert breaker.wait() > 0
    breaker.succeeded()
    assert breaker.wait() == 0
    assert breaker.wait() == 0


def test_an_abandoned_probe_makes_room_for_the_next(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, FAILURES)
    clock.advance(1)
    assert breaker.wait() == 0
    breaker.abandoned()
    assert breaker.wait() == 0


def test_pauses_between_probes_grow_to_a_bound(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, FAILURES)
    pauses = []
    for _ in range(5):
        pauses.append(breaker.wait())
        clock.advance(pauses[-1])
        fail(breaker, 1)
    assert pauses == [1, 2, 4, PROBE_LAST, PROBE_LAST]


@pytest.mark.parametrize(("asked", "waited"), [(7, 7), (60, 60), (86_400, LONGEST_PAUSE)])
def test_a_pause_that_was_asked_for_holds_for_everyone(
    breaker: Breaker, clock: FakeClock, asked: float, waited: float
) -> None:
    breaker.paused(asked)
    assert breaker.wait() == waited
    assert breaker.is_resting is True
    clock.advance(waited)
    assert breaker.wait() == 0
    assert breaker.is_resting is False


def test_retries_have_a_budget(breaker: Breaker) -> None:
    assert [breaker.may_retry() for _ in range(11)] == [True] * int(RETRY_SAVINGS) + [False]
    for _ in range(11):
        breaker.wait()
        breaker.succeeded()
    assert [breaker.may_retry() for _ in range(2)] == [True, False]


def test_nothing_is_retried_while_it_is_open(breaker: Breaker) -> None:
    fail(breaker, FAILURES)
    assert not breaker.may_retry()
