"""How many attempts may fail: by one client, from one address, and in all.

Only failures count. So a whole office behind one address is not locked out when a few of its people
are refused; and since a browser's name is part of the client, one bad script there stops itself
long before it stops the others. Whoever has a session never comes here.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from gate.config.settings import LimitSettings

WINDOW = 60.0
"""Seconds that the limits are counted over."""

REMEMBERED = 50_000
"""Clients and addresses that are counted at one time; the one that failed longest ago goes."""

_SITE_BITS = 64  # one customer has at least that much of IPv6 (RFC 6177)


class FailureLimits:
    """Counts failures, and says how long to wait. `clock` is monotonic, in seconds.

    Each key holds the moment at which its failures are forgiven: every failure moves it on by its
    share of the window (the generic cell rate algorithm), so a key is one number.
    """

    def __init__(self, settings: LimitSettings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.change(settings)
        self._forgiven: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def change(self, settings: LimitSettings) -> None:
        """Count by other limits from here on."""
        self._limits = (
            settings.failures_per_client,
            settings.failures_per_address,
            settings.failures_in_all,
        )

    def wait(self, address: str, agent: str) -> int:
        """Seconds to wait before the next attempt; 0 where it may be made now."""
        now, longest = self._clock(), 0.0
        for key, limit in self._keys(address, agent):
            # full while less than one failure's share of the window is free
            over = self._forgiven.get(key, 0.0) - now - WINDOW + WINDOW / limit
            longest = max(longest, over)
        return 0 if longest <= 1e-6 else int(longest) + 1

    def failed(self, address: str, agent: str) -> None:
        """One attempt was refused."""
        now = self._clock()
        for key, limit in self._keys(address, agent):
            self._forgiven[key] = max(self._forgiven.get(key, 0.0), now) + WINDOW / limit
            self._forgiven.move_to_end(key)
        while len(self._forgiven) > REMEMBERED:
            self._forgiven.popitem(last=False)

    def __len__(self) -> int:
        return len(self._forgiven)

    def _keys(self, address: str, agent: str) -> list[tuple[tuple[str, ...], int]]:
        place = place_of(address)
        keys = ((place, agent[:256]), (place,), ())
        return [(key, limit) for key, limit in zip(keys, self._limits, strict=True) if limit]


def place_of(address: str) -> str:
    """What a client address counts for: itself, or the /64 of one of IPv6, which one machine has to
    itself. The place of a place is the same."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(IPv6Address(int(known) >> (128 - _SITE_BITS) << (128 - _SITE_BITS)))
    return str(known)
