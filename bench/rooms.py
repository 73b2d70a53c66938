"""The rooms that remember, alone in a process of their own, so that its memory is theirs.

`python -m bench.rooms REFUSED GOOD FOLDER` puts random tokens to `Access`, refused and good ones by
an API that answers at once, and prints as JSON how the process has grown.
"""

import asyncio
import contextlib
import gc
import json
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import resident
from gate.access import Access, Decision
from gate.cache import Verdict, VerdictCache
from gate.clocks import CLOCKS
from gate.config.settings import CacheSettings, SessionSettings
from gate.server import COLLECT_AFTER
from gate.session import SessionSeal
from gate.state.journal import Journal
from gate.state.revocations import Revocations
from gate.tokens import Token
from gate.verify.cause import Cause
from gate.verify.judge import VerifyUnavailable


@dataclass(frozen=True, slots=True)
class Growth:
    """How the process grew, in bytes, and how many verdicts were then remembered."""

    refused: int
    """By refused tokens, and tokens about which the API cannot say, half of each."""
    refusals: int
    good: int
    verdicts: int
    pause: float
    """Seconds of a whole look of Python's collector, in which nobody is answered."""


class Verifier:
    """Answers at once: a yes such as a portal gives, a no, or nothing."""

    good = False

    def __init__(self) -> None:
        self._count = 0

    async def verify(self, token: Token) -> Verdict:
        self._count += 1
        if self.good:
            subject = f"reader-{self._count:07d}@example.com"
            return Verdict(active=True, subject=subject, expires=time.time() + 7200)
        if self._count % 2:
            raise VerifyUnavailable(Cause.ODD_STATUS, "out of order")
        return Verdict(active=False)


async def _measure(refused: int, good: int, folder: Path) -> Growth:
    gc.set_threshold(COLLECT_AFTER)  # as `gate serve` does
    verifier = Verifier()
    cache = _cache(good)
    with _access(cache, verifier, folder) as access:
        await _put(1, access.decide_bearer)
        flooded = await _growth(refused, access.decide_bearer, access.admit_new)
        refusals = cache.statistics().refusals
        verifier.good = True
        filled = await _growth(good, access.decide_bearer)
    begun = time.perf_counter()
    gc.collect()
    pause = time.perf_counter() - begun
    return Growth(flooded, refusals, filled, cache.statistics().size, pause)


class _Access(Access):
    """The gate's own, with its two ways in by a new token."""

    async def decide_bearer(self, token: Token) -> Decision:
        return await self.decide(None, bearer=token)

    async def admit_new(self, token: Token) -> Decision:
        return await self.admit(token, None)


def _cache(verdicts: int) -> VerdictCache:
    defaults = CacheSettings()
    return VerdictCache(
        ttl=7200,  # longer than the bench
        negative_ttl=defaults.negative_ttl,
        max_entries=verdicts,
        refresh_ahead=defaults.refresh_ahead,
    )


@contextlib.contextmanager
def _access(cache: VerdictCache, verifier: Verifier, folder: Path) -> Iterator[_Access]:
    with contextlib.closing(Journal(folder / "rooms.state" / "revocations")) as journal:
        yield _Access(
            seal=SessionSeal(SessionSettings(), [secrets.token_bytes(32)], time.time),
            cache=cache,
            verifier=verifier,
            revocations=Revocations(journal, lifetime=43200),
            secret=secrets.token_bytes(32),
            fingerprint=b"bench",
            recheck=True,
            clocks=CLOCKS,
        )


Way = Callable[[Token], Awaitable[Decision]]


async def _growth(count: int, *ways: Way) -> int:
    gc.collect()
    before = resident(os.getpid())
    for way in ways:
        await _put(count // len(ways), way)
    gc.collect()
    return resident(os.getpid()) - before


async def _put(count: int, way: Way) -> None:
    for _ in range(count):
        await way(Token(secrets.token_urlsafe(32)))


def main() -> None:
    """Print the growth."""
    refused, good, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(asdict(asyncio.run(_measure(refused, good, folder)))))


if __name__ == "__main__":
    main()
