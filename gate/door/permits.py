"""The decisions that the fast door uses again, by the cookie as it came."""

from typing import Final

from gate.access import Permit

MOST: Final = 20_000
"""Cookies remembered, a kilobyte and a half each."""

UNUSED_SECONDS: Final = 300.0
"""A cookie that did not come for so long may be forgotten, and for twice as long is: most readers
that came do not come back."""


class Permits:
    """Two generations: what is used moves into the younger one, and the elder one is dropped whole.

    Times are seconds of any clock that does not go back.
    """

    def __init__(self) -> None:
        self._young: dict[bytes | None, Permit] = {}
        self._old: dict[bytes | None, Permit] = {}
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, cookie: bytes | None) -> Permit | None:
        """One that was used lately."""
        return self._young.get(cookie)

    def pop(self, cookie: bytes) -> Permit | None:
        """Take one out, to be judged anew."""
        return self._young.pop(cookie, None) or self._old.pop(cookie, None)

    def put(self, cookie: bytes, permit: Permit, now: float) -> None:
        """Remember one."""
        if now - self._since >= UNUSED_SECONDS or len(self._young) >= MOST / 2:
            self._old, self._young, self._since = self._young, {}, now
        self._young[cookie] = permit
