"""Of one kind of message at most ten lines are written within a second, and none is forgotten."""

import logging
from collections.abc import Callable

import pytest

from gate.observe.floods import LINES, MAX_KINDS, Floods
from tests.fakes import FakeClock


class Told(logging.Handler):
    """A handler behind the filter; `alarms` is what is to be called back."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.said: list[str] = []
        self.alarms: list[Callable[[], None]] = []
        self.floods = Floods(self.handle, clock=clock.monotonic, later=self.alarms.append)
        self.addFilter(self.floods)

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture
def told(clock: FakeClock) -> Told:
    return Told(clock)


@pytest.fixture
def log(told: Told) -> logging.Logger:
    log = logging.Logger("some.room")
    log.addHandler(told)
    return log


def test_a_flood_is_ten_lines_of_which_the_last_tells_how_many_more(
    told: Told, log: logging.Logger, clock: FakeClock
) -> None:
    for number in range(1000):
        log.warning("cookie %d is bad", number)
    assert told.said == [f"some.room: cookie {n} is bad" for n in range(LINES)]
    clock.advance(1)
    (alarm,) = told.alarms
    alarm()
    assert len(told.said) == 10
    assert told.said[-1] == f"some.room: {1000 - LINES} more within a second: cookie %d is bad"
    assert told.floods.summarised == 1000 - LINES


def test_the_next_message_of_any_kind_brings_the_number_of_the_last_second(
    told: Told, log: logging.Logger, clock: FakeClock
) -> None:
    for _ in range(LINES + 3):
        log.warning("bad")
    clock.advance(1)
    log.warning("another")
    assert told.said[LINES:] == [
        "some.room: 3 more within a second: bad",
        "some.room: another",
    ]


def test_a_flood_that_goes_on_is_told_each_second(
    told: Told, log: logging.Logger, clock: FakeClock
) -> None:
    for _ in range(5):
        for _ in range(100):
            log.warning("bad")
        clock.advance(1)
    told.floods.close()
    assert len(told.said) == 5 * (LINES + 1)


def test_an_alarm_within_a_later_second_waits_for_its_end(
    told: Told, log: logging.Logger, clock: FakeClock
) -> None:
    for _ in range(LINES + 1):
        log.warning("bad")
    clock.advance(1)
    for _ in range(LINES + 1):
        log.warning("bad")
    clock.advance(0.5)
    told.alarms.pop()()
    assert len(told.said) == LINES + 1 + LINES
    clock.advance(0.5)
    told.alarms.pop()()
    assert told.said[-1] == "some.room: 1 more within a second: bad"
    assert told.alarms == []


def test_kinds_do_not_take_each_others_room(told: Told, log: logging.Logger) -> None:
    for _ in range(LINES + 5):
        log.warning("bad")
    log.warning("worse")
    log.error("bad")
    assert told.said[LINES:] == ["some.room: worse", "some.room: bad"]


def test_ready_made_messages_that_differ_in_numbers_are_one_kind(
    told: Told, log: logging.Logger
) -> None:
    for number in range(100):
        for text in (
            f"socket.accept() out of system resource\nsocket: <fd={number}>",
            f"task 0x{number:x} was destroyed",
        ):
            log.error(text)
    assert len(told.said) == 2 * LINES


def test_more_kinds_than_can_be_remembered_are_one_kind(told: Told, log: logging.Logger) -> None:
    for number in range(MAX_KINDS + 1000):
        text = "x" * (number % 150) + "y" * (number // 150)
        log.warning(text)
    assert len(told.said) == MAX_KINDS + LINES
    told.floods.close()
    assert told.said[-1].endswith(f"{1000 - LINES} more within a second: of many kinds")


def test_what_is_left_is_told_at_the_end(told: Told, log: logging.Logger) -> None:
    for _ in range(LINES + 2):
        log.warning("bad")
    told.floods.close()
    assert told.said[-1] == "some.room: 2 more within a second: bad"
