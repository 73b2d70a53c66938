"""The verdict cache: what is remembered, for how long, and how many ask."""

import asyncio
from collections.abc import Callable

import pytest

from gate.cache import Verdict, VerdictCache
from tests.fakes import FakeClock

YES = Verdict(active=True, subject="reader")
NO = Verdict(active=False)


class Asked:
    """A way to ask that counts, and answers when it is told to."""

    def __init__(self, answer: Verdict | Exception, *, wait: bool = False) -> None:
        self.answer = answer
        self.count = 0
        self.go = asyncio.Event()
        if not wait:
            self.go.set()

    async def __call__(self) -> Verdict:
        self.count += 1
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def make_cache(clock: FakeClock) -> Callable[..., VerdictCache]:
    def make(
        *, ttl: float = 300, uniform: float = 0.0, max_entries: int = 100, **more: float
    ) -> VerdictCache:
        return VerdictCache(
            ttl=ttl,
            negative_ttl=5,
            max_entries=max_entries,
            **more,
            clock=clock.monotonic,
            wall=clock.wall,
            uniform=lambda: uniform,
        )

    return make


MakeCache = Callable[..., VerdictCache]


async def test_a_yes_is_remembered_for_ttl_and_no_longer(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache, asked = make_cache(), Asked(YES)
    assert await cache.verdict(b"k", asked) == YES
    clock.advance(299.9)
    assert await cache.verdict(b"k", asked) == YES
    assert asked.count == 1
    clock.advance(0.1)
    assert cache.get(b"k") is None
    await cache.verdict(b"k", asked)
    assert asked.count == 2


async def test_looking_at_a_verdict_does_not_lengthen_its_life(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache = make_cache(ttl=10)
    await cache.verdict(b"k", Asked(YES))
    for _ in range(9):
        clock.advance(1)
        assert cache.get(b"k") == YES
    clock.advance(1)
    assert cache.get(b"k") is None


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1.0])
async def test_jitter_only_shortens(
    make_cache: MakeCache, clock: FakeClock, uniform: float
) -> None:
    cache = make_cache(ttl=100, uniform=uniform)
    await cache.verdict(b"k", Asked(YES))
    clock.advance(100 - 10 * uniform - 0.01)
    assert cache.get(b"k") == YES
    clock.advance(0.02)
    assert cache.get(b"k") is None


async def test_never_past_the_verdicts_own_expiry(make_cache: MakeCache, clock: FakeClock) -> None:
    cache = make_cache()
    await cache.verdict(b"k", Asked(Verdict(active=True, expires=clock.wall() + 30)))
    clock.advance(29.9)
    assert cache.get(b"k") is not None
    clock.advance(0.1)
    assert cache.get(b"k") is None


async def test_the_expiry_holds_when_the_wall_clock_jumps(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache = make_cache()
    await cache.verdict(b"k", Asked(Verdict(active=True, expires=clock.wall() + 200)))
    clock.unix += 86_400
    assert cache.get(b"k") is None


async def test_a_yes_that_has_already_run_out_is_a_no(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache = make_cache()
    verdict = await cache.verdict(b"k", Asked(Verdict(active=True, expires=clock.wall())))
    assert not verdict.active
    remembered = cache.get(b"k")
    assert remembered is not None
    assert not remembered.active


async def test_a_no_is_remembered_briefly(make_cache: MakeCache, clock: FakeClock) -> None:
    cache, asked = make_cache(), Asked(NO)
    await cache.verdict(b"k", asked)
    clock.advance(4.9)
    assert cache.get(b"k") == NO
    clock.advance(0.1)
    assert cache.get(b"k") is None


async def test_a_no_ends_an_earlier_yes(make_cache: MakeCache, clock: FakeClock) -> None:
    cache = make_cache(ttl=10)
    await cache.verdict(b"k", Asked(YES))
    clock.advance(10)
    await cache.verdict(b"k", Asked(NO))
    clock.advance(5)
    assert cache.get(b"k") is None


async def test_refusals_push_no_good_verdict_out(make_cache: MakeCache) -> None:
    cache = make_cache(max_entries=10)
    await cache.verdict(b"good", Asked(YES))
    for number in range(1000):
        await cache.verdict(b"bad %d" % number, Asked(NO))
    assert cache.get(b"good") == YES
    assert cache.statistics().refusals == 10


async def test_the_one_used_longest_ago_goes_when_it_is_full(make_cache: MakeCache) -> None:
    cache = make_cache(max_entries=2)
    await cache.verdict(b"a", Asked(YES))
    await cache.verdict(b"b", Asked(YES))
    assert cache.get(b"a") == YES
    await cache.verdict(b"c", Asked(YES))
    assert [key for key in (b"a", b"b", b"c") if cache.get(key)] == [b"a", b"c"]
    assert cache.statistics().evictions == 1


async def test_many_who_wait_for_one_key_ask_once(make_cache: MakeCache) -> None:
    cache, asked = make_cache(), Asked(YES, wait=True)
    waiting = [asyncio.create_task(cache.verdict(b"k", asked)) for _ in range(100)]
    await asyncio.sleep(0)
    asked.go.set()
    assert await asyncio.gather(*waiting) == [YES] * 100
    assert asked.count == 1
    assert cache.statistics().flights == 0


async def test_other_keys_ask_for_themselves(make_cache: MakeCache) -> None:
    cache = make_cache()
    assert await cache.verdict(b"a", Asked(YES)) == YES
    assert await cache.verdict(b"b", Asked(NO)) == NO


async def test_a_waiter_that_goes_away_leaves_the_answer_to_the_others(
    make_cache: MakeCache,
) -> None:
    cache, asked = make_cache(), Asked(YES, wait=True)
    first = asyncio.create_task(cache.verdict(b"k", asked))
    second = asyncio.create_task(cache.verdict(b"k", asked))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    asked.go.set()
    assert await second == YES
    assert asked.count == 1


async def test_the_answer_is_kept_when_every_waiter_has_gone(make_cache: MakeCache) -> None:
    cache, asked = make_cache(), Asked(YES, wait=True)
    only = asyncio.create_task(cache.verdict(b"k", asked))
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    asked.go.set()
    assert await cache.verdict(b"k", Asked(NO)) == YES


async def test_a_failure_reaches_every_waiter_and_is_remembered_by_nobody(
    make_cache: MakeCache,
) -> None:
    cache, asked = make_cache(), Asked(RuntimeError("cannot say"), wait=True)
    waiting = [asyncio.create_task(cache.verdict(b"k", asked)) for _ in range(3)]
    await asyncio.sleep(0)
    asked.go.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError] * 3
    assert cache.get(b"k") is None
    assert await cache.verdict(b"k", Asked(YES)) == YES


async def test_a_verdict_near_its_end_is_refreshed_and_nobody_waits(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache, asked = make_cache(ttl=100, refresh_ahead=0.8), Asked(YES)
    await cache.verdict(b"k", asked)
    clock.advance(79.9)
    assert cache.get(b"k", asked) == YES
    assert asked.count == 1
    clock.advance(0.1)
    slow = Asked(YES, wait=True)
    assert [cache.get(b"k", slow) for _ in range(3)] == [YES] * 3
    await asyncio.sleep(0)
    assert slow.count == 1
    slow.go.set()
    await cache.settled()
    clock.advance(79)
    assert cache.get(b"k", asked) == YES
    assert asked.count == 1


async def test_a_refresh_that_says_no_ends_the_yes(make_cache: MakeCache, clock: FakeClock) -> None:
    cache = make_cache(ttl=100, refresh_ahead=0.8)
    await cache.verdict(b"k", Asked(YES))
    clock.advance(80)
    assert cache.get(b"k", Asked(NO)) == YES
    await cache.settled()
    assert cache.get(b"k") == NO


async def test_a_refresh_that_fails_leaves_the_yes_and_is_tried_again_after_a_pause(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache, failing = make_cache(ttl=100, refresh_ahead=0.8), Asked(RuntimeError("cannot say"))
    await cache.verdict(b"k", Asked(YES))
    clock.advance(80)
    for _ in range(3):
        assert cache.get(b"k", failing) == YES
        await cache.settled()
    assert failing.count == 1
    clock.advance(5)
    assert cache.get(b"k", failing) == YES
    await cache.settled()
    assert failing.count == 2
    clock.advance(15)
    assert cache.get(b"k") is None


async def test_a_verdict_whose_own_end_is_near_is_not_refreshed(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache, asked = make_cache(ttl=100, refresh_ahead=0.8), Asked(YES)
    await cache.verdict(b"k", Asked(Verdict(active=True, expires=clock.wall() + 90)))
    clock.advance(85)
    assert cache.get(b"k", asked) is not None
    await cache.settled()
    assert asked.count == 0


async def test_a_verdict_from_elsewhere_keeps_its_age(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache = make_cache(ttl=100)
    await cache.verdict(b"k", Asked(Verdict(active=True, asked=clock.wall() - 60)))
    clock.advance(39)
    assert cache.get(b"k") is not None
    clock.advance(1)
    assert cache.get(b"k") is None


async def test_a_yes_is_stale_for_as_long_as_was_set(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache = make_cache(ttl=100, stale_if_error=50)
    await cache.verdict(b"k", Asked(YES))
    clock.advance(149)
    assert cache.get(b"k") is None
    assert cache.stale(b"k") == YES
    clock.advance(1)
    assert cache.stale(b"k") is None


async def test_nothing_is_stale_unless_it_was_set(make_cache: MakeCache, clock: FakeClock) -> None:
    cache = make_cache(ttl=100)
    await cache.verdict(b"k", Asked(YES))
    clock.advance(100)
    assert cache.stale(b"k") is None


async def test_nothing_is_stale_past_its_own_expiry_or_after_a_no(
    make_cache: MakeCache, clock: FakeClock
) -> None:
    cache = make_cache(ttl=100, stale_if_error=300)
    await cache.verdict(b"ends", Asked(Verdict(active=True, expires=clock.wall() + 110)))
    await cache.verdict(b"no", Asked(NO))
    clock.advance(110)
    assert cache.stale(b"ends") is None
    assert cache.stale(b"no") is None


async def test_what_is_dropped_is_asked_for_again(make_cache: MakeCache) -> None:
    cache = make_cache()
    for key in (b"a", b"b", b"c"):
        await cache.verdict(key, Asked(YES))
    cache.drop(b"a")
    assert [cache.get(key) for key in (b"a", b"b")] == [None, YES]
    cache.clear()
    assert cache.get(b"b") is None
