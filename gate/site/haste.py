"""How long a start reads files before it serves the site."""

import time
from collections.abc import Callable
from typing import Final

START_SECONDS: Final = 0.3
"""Enough for some 300 pages, walking the folder included."""

BYTES_A_SECOND: Final = 8_000_000
"""At which files are read, hashed and compressed, on a slow core."""


class Haste:
    """Whether a file of so many bytes is made before the gate serves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + START_SECONDS

    def __call__(self, size: int) -> bool:
        return self._clock() + size / BYTES_A_SECOND < self._end
