"""The sign-ins that wait: one poller each, as often as is allowed, and none where nobody looks."""

import asyncio
import gc
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field

import pytest

from gate.clocks import Clocks
from gate.config.settings import LimitSettings
from gate.config.sign_in import QrSettings
from gate.limits import FailureLimits
from gate.sign_in.flow import Flow, State
from gate.sign_in.flows import (
    FINISH_SECONDS,
    GONE_AFTER,
    LONGEST_PAUSE,
    SLOWER,
    Flows,
    Full,
)
from gate.sign_in.progress import Answer, BadAnswer, Transaction, Unreachable, Word
from tests.fakes import FakeClock

HERE = "192.0.2.1"


@dataclass
class Scripted:
    """An authorizer that gives the same answer to everybody until it is told another."""

    answer: Answer | Exception = field(default_factory=lambda: Answer(Word.PENDING))
    interval: float | None = 5.0
    lifetime: float | None = None
    started: int = 0
    polled: Counter[str] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)

    async def start(self, name: str) -> Transaction:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.started += 1
        secret = f"secret-{self.started}"
        return Transaction(secret, "1", lifetime=self.lifetime, interval=self.interval)

    async def poll(self, transaction: Transaction) -> Answer:
        self.polled[transaction.secret] += 1
        self.under_way[transaction.secret] += 1
        assert self.under_way[transaction.secret] == 1, "two polls of one transaction at once"
        await asyncio.sleep(0)
        self.under_way[transaction.secret] -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def authorizer() -> Scripted:
    return Scripted()


def make(authorizer: Scripted, clock: FakeClock, **settings: float) -> Flows:
    clocks = Clocks(clock.monotonic, clock.wall, clock.sleep)
    limits = FailureLimits(LimitSettings(), clock.monotonic)
    return Flows(QrSettings.model_validate(settings), authorizer, limits, clocks)


async def polled_after(clock: FakeClock, authorizer: Scripted, seconds: float) -> int:
    """How many polls the passing of so much time brings, for one sign-in that goes on."""
    before = authorizer.polled.total()
    clock.advance(seconds)
    await clock.asleep(1)
    return authorizer.polled.total() - before


async def ended_after(clock: FakeClock, flow: Flow, seconds: float) -> State:
    moved = flow.moved
    clock.advance(seconds)
    await moved.wait()
    return flow.state


async def test_it_is_asked_once_an_interval(clock: FakeClock, authorizer: Scripted) -> None:
    flows = make(authorizer, clock)
    with flows.watching(await flows.begin(HERE, "", "/")):
        await clock.asleep(1)
        assert [await polled_after(clock, authorizer, each) for each in (4.9, 0.1, 4.9, 0.2)] == [
            0, 1, 0, 1,
        ]  # fmt: skip
    await flows.close()


async def test_no_interval_is_shorter_than_half_a_second(
    clock: FakeClock, authorizer: Scripted
) -> None:
    authorizer.interval = 0.01
    flows = make(authorizer, clock)
    with flows.watching(await flows.begin(HERE, "", "/")):
        await clock.asleep(1)
        assert [await polled_after(clock, authorizer, each) for each in (0.4, 0.1)] == [0, 1]
    await flows.close()


async def test_each_slow_down_makes_every_later_interval_longer(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock)
    flow = await flows.begin(HERE, "", "/")
    with flows.watching(flow):
        authorizer.answer = Answer(Word.SLOW_DOWN)
        await clock.asleep(1)
        assert await polled_after(clock, authorizer, 5) == 1
        assert await polled_after(clock, authorizer, 5 + SLOWER - 0.1) == 0
        assert await polled_after(clock, authorizer, 0.1) == 1
        authorizer.answer = Answer(Word.PENDING)
        assert await polled_after(clock, authorizer, 5 + 2 * SLOWER) == 1
        assert await polled_after(clock, authorizer, 5 + 2 * SLOWER - 0.1) == 0
        assert flow.state is State.WAITING
    await flows.close()


async def test_a_silent_authorizer_is_asked_less_and_less_and_that_is_told(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock, flow_lifetime=1000)
    flow = await flows.begin(HERE, "", "/")
    with flows.watching(flow):
        authorizer.answer = Unreachable("no")
        await clock.asleep(1)
        for pause in (5, 10, 20, 40, LONGEST_PAUSE, LONGEST_PAUSE):
            assert await polled_after(clock, authorizer, pause - 0.1) == 0
            assert await polled_after(clock, authorizer, 0.1) == 1
            assert flow.state is State.UNREACHABLE
        authorizer.answer = Answer(Word.PENDING)
        assert await polled_after(clock, authorizer, LONGEST_PAUSE) == 1
        assert flow.state is State.WAITING
        assert await polled_after(clock, authorizer, 5) == 1
    await flows.close()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(Word.REFUSED), State.REFUSED),
        (Answer(Word.EXPIRED), State.EXPIRED),
        (Answer(Word.FAILED), State.FAILED),
        (BadAnswer("nonsense"), State.FAILED),
        (RuntimeError("a fault of ours"), State.FAILED),
    ],
)
async def test_an_end_is_told_and_keeps_no_secret(
    clock: FakeClock, authorizer: Scripted, answer: Answer | Exception, state: State
) -> None:
    flows = make(authorizer, clock)
    flow = await flows.begin(HERE, "", "/guide/")
    authorizer.answer = answer
    await clock.asleep(1)
    assert await ended_after(clock, flow, 5) is state
    assert (flow.transaction, flow.token, flow.code) == (None, "", "")
    assert len(flows) == 0
    assert flows.find(flow.id) is flow, "its browser is still told how it ended"


async def test_a_token_is_taken_once(clock: FakeClock, authorizer: Scripted) -> None:
    flows = make(authorizer, clock)
    flow = await flows.begin(HERE, "", "/")
    assert flows.take(flow) is None, "nobody approved yet"
    authorizer.answer = Answer(Word.ACCEPTED, "the-token")
    await clock.asleep(1)
    assert await ended_after(clock, flow, 5) is State.ACCEPTED
    assert "the-token" not in repr(flow)
    assert "secret-1" not in repr(flow)
    assert [flows.take(flow), flows.take(flow)] == ["the-token", None]
    assert (flow.state, flow.token) == (State.USED, "")


async def test_a_token_that_could_not_be_judged_can_be_taken_again(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock)
    flow = await flows.begin(HERE, "", "/")
    authorizer.answer = Answer(Word.ACCEPTED, "the-token")
    await clock.asleep(1)
    await ended_after(clock, flow, 5)
    token = flows.take(flow)
    assert token is not None
    flows.give_back(flow, token)
    assert flows.take(flow) == "the-token"


async def test_a_token_that_no_browser_fetches_is_thrown_away(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock)
    flow = await flows.begin(HERE, "", "/")
    authorizer.answer = Answer(Word.ACCEPTED, "the-token")
    await clock.asleep(1)
    await ended_after(clock, flow, 5)
    await clock.asleep(1)
    assert await ended_after(clock, flow, FINISH_SECONDS) is State.EXPIRED
    assert flow.token == ""
    assert authorizer.polled.total() == 1, "an approved transaction is not asked about again"


@pytest.mark.parametrize(
    ("stated", "ours", "lasts"), [(20, 300, 20), (900, 60, 60), (None, 60, 60)]
)
async def test_it_ends_with_the_code_or_after_flow_lifetime(
    clock: FakeClock, authorizer: Scripted, stated: float | None, ours: float, lasts: float
) -> None:
    authorizer.lifetime, authorizer.interval = stated, 1000
    flows = make(authorizer, clock, flow_lifetime=ours)
    flow = await flows.begin(HERE, "", "/")
    assert flows.seconds_left(flow) == lasts
    with flows.watching(flow):
        await clock.asleep(1)
        assert await ended_after(clock, flow, lasts) is State.EXPIRED


async def test_nothing_is_asked_once_the_page_is_gone_until_it_is_back(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock)
    flow = await flows.begin(HERE, "", "/")
    with flows.watching(flow):
        await clock.asleep(1)
        assert await polled_after(clock, authorizer, GONE_AFTER * 2) == 1, "an open page is seen"
    assert await polled_after(clock, authorizer, GONE_AFTER) == 1
    poller = flow.poller
    assert poller is not None
    clock.advance(GONE_AFTER)
    await poller
    assert (authorizer.polled.total(), flow.state) == (2, State.WAITING)
    authorizer.answer = Answer(Word.ACCEPTED, "the-token")
    moved = flow.moved
    assert flows.find(flow.id) is flow
    await moved.wait()
    assert flows.take(flow) == "the-token"


async def test_a_thousand_are_asked_once_an_interval_each_and_not_at_all_once_closed(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock)
    waiting = [await flows.begin(f"10.0.{n // 250}.{n % 250}", "", "/") for n in range(1000)]
    tasks = len(asyncio.all_tasks())
    await clock.asleep(1000)
    for flow in waiting:
        flow.watchers += 1
    sizes = []
    tracemalloc.start()
    for turn in (1, 2, 3):
        clock.advance(5)
        await clock.asleep(1000)
        assert set(authorizer.polled.values()) == {turn}
        assert len(authorizer.polled) == 1000
        assert len(asyncio.all_tasks()) == tasks
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[2] - sizes[1] < 16_000, "waiting longer takes not even a number for each"
    for flow in waiting:
        flow.watchers -= 1
    clock.advance(GONE_AFTER + 1)
    await asyncio.gather(*(flow.poller for flow in waiting if flow.poller is not None))
    assert authorizer.polled.total() == 3000
    assert len(asyncio.all_tasks()) == tasks - 1000
    clock.advance(300)
    await flows.begin(HERE, "", "/")
    assert len(flows) == 1
    assert not any(flow.transaction or flow.code for flow in waiting), "nothing of them stays"
    await flows.close()


def alive() -> Counter[str]:
    """How many objects there are of the kinds that a sign-in is made of."""
    gc.collect()
    kinds = (Flow, Transaction, asyncio.Task, asyncio.Event, asyncio.TimerHandle)
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))


async def test_nothing_stays_of_those_that_ended_but_how_they_did(
    clock: FakeClock, authorizer: Scripted
) -> None:
    before, most = alive(), 50
    for _ in range(2):  # what is remembered of the first makes way for the second
        flows = make(authorizer, clock, max_flows=most)
        for number in range(most):
            flow = await flows.begin(f"10.0.0.{number}", "", "/")
        await clock.asleep(most)
        del flow
        clock.advance(300)
        await clock.asleep(0)
        assert len(flows) == 0
        assert alive() - before == Counter(Flow=most, Event=most)
    del flows
    assert alive() == before


async def test_there_is_a_cap_for_an_address_and_one_for_all(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock, max_flows=3, max_flows_per_address=2)
    for address in (HERE, HERE, "192.0.2.2"):
        await flows.begin(address, "", "/")
    for address in (HERE, "192.0.2.3"):
        with pytest.raises(Full):
            await flows.begin(address, "", "/")
    assert authorizer.started == 3, "those who find no place cost no question"
    await flows.close()


async def test_places_are_counted_while_the_authorizer_is_asked(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock, max_flows_per_address=2)
    results = await asyncio.gather(
        *(flows.begin(HERE, "", "/") for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(each, Full) for each in results) == 8
    await flows.close()


async def test_a_start_that_fails_gives_its_place_back(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock, max_flows=1)
    authorizer.answer = Unreachable("no")
    for _ in range(3):
        with pytest.raises(Unreachable):
            await flows.begin(HERE, "", "/")
    assert len(flows) == 0


async def test_closed_pages_lock_nobody_out(clock: FakeClock, authorizer: Scripted) -> None:
    flows = make(authorizer, clock, max_flows_per_address=2)
    watched, closed = await flows.begin(HERE, "", "/"), await flows.begin(HERE, "", "/")
    with flows.watching(watched):
        clock.advance(GONE_AFTER + 1)
        await flows.begin(HERE, "", "/")
        assert (watched.is_live, closed.state) == (True, State.REPLACED)
    await flows.close()


async def test_what_has_ended_is_remembered_within_bounds(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock, max_flows=3)
    over = []
    for _ in range(5):
        over.append(await flows.begin(HERE, "", "/"))
        flows.end(over[-1], State.CANCELLED)
    assert [flows.find(flow.id) is flow for flow in over] == [False, False, True, True, True]


async def test_the_end_of_the_gate_ends_them_all_with_a_word(
    clock: FakeClock, authorizer: Scripted
) -> None:
    flows = make(authorizer, clock)
    begun = [await flows.begin(HERE, "", "/") for _ in range(3)]
    tasks = [flow.poller for flow in begun]
    await flows.close()
    assert {flow.state for flow in begun} == {State.RESTARTED}
    assert all(task is not None and task.done() for task in tasks)
