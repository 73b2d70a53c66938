"""Verdicts on the shared server: which are put there, for how long, and which may be used.

Pure: it says what to ask the server and what the answer is worth. Only a yes is shared, and it
keeps the time when it was asked for wherever it goes.
"""

from collections.abc import Callable
from dataclasses import replace

from gate.cache import JITTER, Verdict
from gate.shared.envelope import Envelope
from gate.shared.link import PREFIX, Command, milliseconds

FUTURE_SECONDS = 60.0
"""How far the clocks of replicas may be apart: a verdict from further ahead is not used."""

MAX_VALUE_BYTES = 128 * 1024
"""More than a sealed answer of the verify API can have. No more than that of a value is read."""


class SharedVerdicts:
    """`ttl` and `refresh_ahead` are those of `[cache]`, `wall` is the wall clock."""

    def __init__(
        self, envelope: Envelope, ttl: float, refresh_ahead: float, wall: Callable[[], float]
    ) -> None:
        self._envelope = envelope
        self._ttl = ttl
        # the cache refreshes no sooner: else a refresh would be given the verdict it is to renew
        self._fresh = ttl * (1 - JITTER) * (refresh_ahead or 1.0)
        self._wall = wall

    def reading(self, key: bytes) -> Command:
        """Asks for what is shared under a cache key."""
        return "GETRANGE", _name(key), 0, MAX_VALUE_BYTES - 1

    def usable(self, key: bytes, sealed: bytes) -> Verdict | None:
        """What the server's answer is worth."""
        found = self._envelope.open_verdict(key, sealed) if sealed else None
        now = self._wall()
        if found is None or not found.good_at(now):
            return None
        if not -FUTURE_SECONDS <= now - found.asked < self._fresh:
            return None
        return replace(found, asked=min(found.asked, now))

    def writing(self, key: bytes, verdict: Verdict) -> Command | None:
        """Shares a yes until it runs out. Where the API says no, it takes away what was shared: an
        old yes would come back when the refusal is forgotten."""
        if not verdict.active:
            return "DEL", _name(key)
        now = self._wall()
        left = verdict.asked + self._ttl - now
        if verdict.expires is not None:
            left = min(left, verdict.expires - now)
        if left <= 0:
            return None
        return (
            "SET",
            _name(key),
            self._envelope.seal_verdict(key, verdict),
            "PX",
            milliseconds(left),
        )


def _name(key: bytes) -> bytes:
    return PREFIX + b"verdict:" + key.hex().encode("ascii")
