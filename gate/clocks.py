"""The two clocks and the way to wait, in one value that tests can replace."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds. Limits inside the process go by the monotonic clock; what leaves it, by the wall
    clock (Unix time)."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


CLOCKS = Clocks()
"""The machine's own."""
