"""The bounds of connections: how many there may be, how long one may take to ask, and how long it
may leave its answer unread.

Counted when a connection is made and looked at once a second, so that a request costs nothing more.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import cast

from gate.config.settings import ServerSettings
from gate.limits import place_of
from gate.proxies import Proxies

if sys.platform != "win32":
    import resource

log = logging.getLogger(__name__)

PERIOD = 1.0
"""Seconds between two looks at all connections."""

LINGER = 0.5
"""Seconds in which whoever is sent away can read why."""

MOST_LINGERING = 64

PLACES = 4096
"""Addresses of which is remembered for whom they count."""

RESERVED = 128
"""Descriptors for the log, the state, the verify API and what else may be open."""

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: docs-gate\r\nRetry-After: 1\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)

Factory = Callable[[], asyncio.BaseProtocol]


@dataclass(slots=True)
class _Connection:
    transport: asyncio.Transport
    protocol: asyncio.BaseProtocol
    place: str
    begun: float
    silent: object
    """The protocol's signs while it has seen no request."""
    asked: bool = False
    """Whether one request came whole."""
    unread: int = 0
    """Bytes of answers that the client has not taken."""
    stuck_since: float = 0.0
    late: bool = False
    """Whether the last look found that it takes too long."""


@dataclass(slots=True)
class Statistics:
    """Counted since the start, but for `open`."""

    open: int = 0
    refused: int = 0
    """Connections that were one too many, in all or of one address."""
    slow_headers: int = 0
    """Connections whose first request did not come in time."""
    slow_readers: int = 0
    """Connections that left their answer unread."""


class Connections:
    """Stands before a protocol factory; an async context for as long as it listens. What `signs`
    says of a protocol changes with its first request. Proxies have no bound of their own."""

    def __init__(
        self,
        settings: ServerSettings,
        proxies: Proxies,
        factory: Factory,
        signs: Callable[[asyncio.BaseProtocol], object] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._proxies = proxies
        self._factory = factory
        self._signs = signs
        self._most = most(settings.connections)
        self._place_of = lru_cache(maxsize=PLACES)(self._find_place)
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._places: Counter[str] = Counter()
        self._statistics = Statistics()
        self._told = float("-inf")
        self._lingering = 0

    def __call__(self) -> asyncio.Protocol:
        """What asyncio makes for every connection."""
        return _Arrival(self)

    async def __aenter__(self) -> "Connections":
        self._looking = asyncio.create_task(self._look_again_and_again())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._looking.cancel()

    def statistics(self) -> Statistics:
        """Figures for whoever watches."""
        self._statistics.open = len(self._open)
        return self._statistics

    def arrive(self, transport: asyncio.Transport) -> None:
        """Hand a new connection to the protocol it is for, or send it away."""
        place = self._place(transport)
        if self._is_full(place):
            self._forget_closed()  # whoever went within the last second counts no more
            if self._is_full(place):
                self._refuse(transport)
                return
        protocol = self._factory()
        now = asyncio.get_running_loop().time()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        silent = self._signs(protocol)
        self._open[transport] = _Connection(transport, protocol, place, now, silent)
        self._places[place] += 1

    def _is_full(self, place: str) -> bool:
        mine = self._settings.connections_per_address
        return len(self._open) >= self._most or bool(place and mine and self._places[place] >= mine)

    def _refuse(self, transport: asyncio.Transport) -> None:
        self._statistics.refused += 1
        now = asyncio.get_running_loop().time()
        if now - self._told > 60:
            self._told = now
            log.warning(
                "too many connections, and more are sent away: [server] connections,"
                " connections_per_address"
            )
        transport.write(_TOO_MANY)
        if self._lingering >= MOST_LINGERING or not transport.can_write_eof():
            transport.close()
            return
        # closed at once, with its request unread, the client would be reset and see no answer
        transport.write_eof()
        self._lingering += 1
        asyncio.get_running_loop().call_later(LINGER, self._end, transport)

    def _end(self, transport: asyncio.Transport) -> None:
        self._lingering -= 1
        transport.abort()

    def _place(self, transport: asyncio.Transport) -> str:
        """Whom a connection counts for; "" for a proxy, behind which everybody may be."""
        peer = transport.get_extra_info("peername")
        return self._place_of(peer[0]) if isinstance(peer, tuple) else ""

    def _find_place(self, address: str) -> str:
        return "" if self._proxies.trusts(address) else place_of(address)

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            self.look(asyncio.get_running_loop().time())

    def look(self, now: float) -> None:
        """End what takes too long at a moment of the loop's clock, and did so at the look before:
        after a standstill of the process, what came meanwhile is still to be read."""
        self._forget_closed()
        for each in self._open.values():
            is_slow = not each.asked and not self._asked(each, now)
            was_late, each.late = each.late, is_slow or self._is_stuck(each, now)
            if was_late and each.late:
                self._end_late(each, is_slow=is_slow)

    def _end_late(self, each: _Connection, *, is_slow: bool) -> None:
        if is_slow:
            self._statistics.slow_headers += 1
        else:
            self._statistics.slow_readers += 1
        each.transport.abort()

    def _asked(self, each: _Connection, now: float) -> bool:
        """Whether the first request came, or may still come."""
        each.asked = self._signs(each.protocol) != each.silent
        return each.asked or now - each.begun < self._settings.header_timeout

    def _is_stuck(self, each: _Connection, now: float) -> bool:
        unread = each.transport.get_write_buffer_size()
        if not unread or unread != each.unread:
            each.unread, each.stuck_since = unread, now
            return False
        return now - each.stuck_since >= self._settings.send_timeout

    def _forget_closed(self) -> None:
        for transport in [each for each in self._open if each.is_closing()]:
            place = self._open.pop(transport).place
            self._places[place] -= 1
            if not self._places[place]:
                del self._places[place]


class _Arrival(asyncio.Protocol):
    """The protocol of a connection until it is known whether it may stay."""

    __slots__ = ("_connections",)

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's and those of TLS are none by their class, and are by what they can do
        self._connections.arrive(cast("asyncio.Transport", transport))


def most(wanted: int) -> int:
    """How many connections there may be: the setting, or what the system lets us open."""
    if sys.platform == "win32":
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(16, min(wanted, soft - soft // 4 - RESERVED))


def raise_the_limit() -> None:
    """Take all the descriptors that the system grants; it often starts programs with 1,024."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def signs_of_aiohttp(protocol: asyncio.BaseProtocol) -> object:
    """Changes once aiohttp's protocol has parsed a request. It keeps that to itself (3.14)."""
    return (
        getattr(protocol, "_request_in_progress", False),
        bool(getattr(protocol, "_messages", ())),
        getattr(protocol, "_next_keepalive_close_time", 0.0),
    )
