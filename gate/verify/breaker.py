"""When not to ask the verify API: after it failed again and again, or asked for a pause.

Pure: it counts and tells, and whoever asks obeys. Times are seconds of a monotonic clock.
"""

import random
from collections.abc import Callable

FAILURES = 5
"""Failures in a row that open the breaker."""

PROBE_FIRST, PROBE_LAST = 1.0, 5.0
"""Pauses before a probe: the first, and the longest that repeated failure makes them."""

LONGEST_PAUSE = 60.0
"""Of a Retry-After no more is obeyed: a wrong one must not shut readers out for a day."""

RETRY_SHARE, RETRY_SAVINGS = 0.1, 10.0
"""A retry for every ten questions, and no more than ten saved up: retries never double a load that
the API cannot bear."""


class Breaker:
    """Closed while the API answers; open after `FAILURES` in a row, then one probe at a time."""

    def __init__(
        self, clock: Callable[[], float], uniform: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._uniform = uniform
        self._failures = 0
        self._pause = PROBE_FIRST
        self._closed_until = 0.0
        self._probing = False
        self._savings = RETRY_SAVINGS

    @property
    def is_open(self) -> bool:
        """Whether the API failed so often that only probes are let through."""
        return self._failures >= FAILURES

    @property
    def is_resting(self) -> bool:
        """Whether no question would be let through now."""
        return self._clock() < self._closed_until or (self.is_open and self._probing)

    @property
    def rest(self) -> float:
        """Seconds until it may be asked again, as far as is known now."""
        return max(self._closed_until - self._clock(), 0.0)

    def wait(self) -> float:
        """Seconds until a question may be put; 0 is now, and then the question must be put and its
        end be told by `succeeded`, `failed`, `paused` or `abandoned`."""
        left = self._closed_until - self._clock()
        if left > 0:
            return left
        if self._failures >= FAILURES:
            if self._probing:
                return self._pause
            self._probing = True
        self._savings = min(self._savings + RETRY_SHARE, RETRY_SAVINGS)
        return 0.0

    def succeeded(self) -> None:
        """The API said yes or no."""
        self._failures = 0
        self._pause = PROBE_FIRST
        self._probing = False

    def failed(self) -> None:
        """The API could not say."""
        self._failures += 1
        self._probing = False
        if self._failures >= FAILURES:
            pause = min(self._pause * (1 + 0.2 * self._uniform()), PROBE_LAST)
            self._closed_until = self._clock() + pause
            self._pause = min(self._pause * 2, PROBE_LAST)

    def abandoned(self) -> None:
        """The question was given up before an answer: that says nothing about the API."""
        self._probing = False

    def paused(self, seconds: float) -> None:
        """The API asked everyone to wait (429 or 503 with Retry-After)."""
        self._probing = False
        self._closed_until = self._clock() + min(seconds, LONGEST_PAUSE)

    def may_retry(self) -> bool:
        """Whether the budget has a second attempt; taken when true."""
        if self._savings < 1 or self._failures >= FAILURES:
            return False
        self._savings -= 1
        return True
