"""The protocol on every connection: hot reads are answered here, the rest goes to aiohttp.

aiohttp's own protocol is made when the first request for it comes, and let go when the next hot one
does, so that an idle connection costs little. Bytes are never kept back from it: what is not a
whole, plain request goes there at once, with everything behind it.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web

from gate.connections import signs_of_aiohttp
from gate.door.hot import Answer, HotReads, Peer
from gate.door.reading import Counting
from gate.door.sheets import Sheet

if TYPE_CHECKING:
    from aiohttp.web_protocol import RequestHandler

log = logging.getLogger(__name__)

_END: Final = b"\r\n\r\n"
_LARGE: Final = 64 * 1024
_NOBODY: Final = Peer("", "http")
_LOOK_SECONDS: Final = 1.0


class Doors:
    """Makes the protocols, and stands in for aiohttp's server where that is asked about its
    connections."""

    def __init__(self, server: web.Server, hot: HotReads) -> None:
        self.server = server
        self.hot = hot
        self.leaving = False
        """Whether the gate is about to end: then aiohttp says farewell on every connection."""
        self.answers = 0
        """Hot reads answered."""
        self._keepalive = hot.keepalive_timeout
        self._open: set[Door] = set()
        self._silent: set[Door] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> "Door":
        return Door(self)

    @property
    def connections(self) -> list["Door"]:
        """Those that are open."""
        return list(self._open)

    @property
    def requests_count(self) -> int:
        """Requests that came in by either door, as aiohttp's server counts them."""
        return self.answers + self.server.requests_count

    def opened(self, door: "Door") -> None:
        """A connection was made."""
        self._open.add(door)
        if self._timer is None:
            self._watch()

    def closed(self, door: "Door") -> None:
        """A connection was lost."""
        self._open.discard(door)

    def close(self) -> None:
        """Close the connections on which nothing is under way; aiohttp ends the others."""
        if self._timer is not None:
            self._timer.cancel()
        for door in self.connections:
            door.close_if_idle()

    def _watch(self) -> None:
        """One timer for all: who was silent too long at two looks is cut off. At the first one
        after a standstill of the process, a request may lie in the socket unread."""
        loop = asyncio.get_running_loop()
        self._timer = None
        limit = loop.time() - self._keepalive
        before, self._silent = self._silent, {door for door in self._open if door.last < limit}
        for door in self._silent & before:
            door.close_if_idle()
        if self._open:
            pause = min(_LOOK_SECONDS, self._keepalive)
            self._timer = loop.call_later(pause, self._watch)


class Door(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_answered", "_counting", "_doors", "_inner", "_loop", "_paused", "_peer", "_rest",
        "_served", "_transport", "last",
    )  # fmt: skip

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._inner: RequestHandler | None = None
        self._counting: Counting | None = None
        self._answered = 0
        self._served = False
        self._paused = False
        self._rest = b""
        self._peer = _NOBODY
        self.last = 0.0
        """When something came last, by the loop's clock; meaningless while aiohttp has it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        stream = cast(asyncio.Transport, transport)  # uvloop's has another base
        self._transport = stream
        self.last = self._loop.time()
        peer = transport.get_extra_info("peername")
        is_sealed = bool(transport.get_extra_info("sslcontext"))
        self._peer = Peer(
            peer[0] if isinstance(peer, tuple) else peer or "",
            "https" if is_sealed else "http",
            by_reference=not is_sealed and type(transport).__module__.startswith("uvloop."),
        )
        self._doors.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._doors.closed(self)
        self._transport = None
        self._rest = b""
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._inner = None
        if self._counting is not None:
            self._counting.close()
            self._counting = None

    def eof_received(self) -> None:
        """The client says no more. What was written is still sent, and then the loop closes."""
        if self._inner is not None:
            self._inner.eof_received()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.last = self._loop.time()
        if self._paused and self._inner is None:
            self._rest += data  # at most what was on its way when reading was paused
        elif self._inner is None or self._let_go():
            self._take(data)
        else:
            self._hand_over(data)

    def pause_writing(self) -> None:
        """The client reads slowly: nobody makes it more answers meanwhile."""
        self._paused = True
        if self._inner is not None:
            self._inner.pause_writing()
        elif self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has read enough."""
        self._paused = False
        if self._inner is not None:
            self._inner.resume_writing()
            return
        if self._transport is not None:
            self._transport.resume_reading()
        rest, self._rest = self._rest, b""
        if rest:
            self._take(rest)

    def answered(self) -> None:
        """aiohttp answered one request."""
        self._answered += 1
        self._served = True

    @property
    def was_asked(self) -> bool:
        """Whether the headers of one request came whole."""
        return self._served or (self._counting is not None and self._counting.heads > 0)

    def close_if_idle(self) -> None:
        """Close unless an answer is under way."""
        if self._transport is not None and self._inner is None and not self._paused:
            self._transport.close()

    def _take(self, data: bytes) -> None:
        """Answer what is hot, up to the first request that is not."""
        doors, peer = self._doors, self._peer
        while data:
            answer, rest = None, b""
            try:
                if not doors.leaving and data.endswith(_END):
                    answer = doors.hot.answer(data, peer)
                if answer is None and not doors.leaving and (several := _first_of(data)):
                    answer, rest = doors.hot.answer(several[0], peer), several[1]
            except Exception:  # aiohttp's way ends in an answer whatever happens
                log.exception("the fast door failed: the request goes to the other one")
            if answer is None:
                self._hand_over(data)
                return
            transport = self._transport
            if transport is None or transport.is_closing():
                return
            doors.answers += 1
            self._served = True
            if len(answer[3]) > _LARGE:
                self._write_large(transport, answer)
            else:
                transport.write(b"".join(answer))  # type: ignore[arg-type]  # a small one is bytes
            data = rest
            if self._paused:
                self._rest = data
                return

    def _write_large(self, transport: asyncio.Transport, answer: Answer) -> None:
        """Without a copy of the body; what the socket does not take now waits as a reference."""
        *head, body = answer
        if not isinstance(body, Sheet):
            transport.writelines([*head, body])
            return
        transport.write(b"".join(head))
        if transport.is_closing():
            return  # nobody is there, and its descriptor may soon be somebody else's
        sent = 0
        if not transport.get_write_buffer_size():  # nothing waits that the body would overtake
            socket = transport.get_extra_info("socket")
            sent = self._doors.hot.sheets.send(body, socket.fileno())
        if sent < len(body):
            transport.write(memoryview(body.body)[sent:])

    def _hand_over(self, data: bytes) -> None:
        """Everything from here on is aiohttp's, until it has answered it all."""
        if self._transport is None:
            return
        if self._inner is None:
            self._inner = self._doors.server()
            self._counting, self._answered = Counting(), 0
            logger: Any = self._inner.access_logger
            logger.answered = self.answered
            self._inner.connection_made(self._transport)
            if self._paused:
                self._inner.pause_writing()
        assert self._counting is not None
        self._counting.feed(data)
        self._inner.data_received(data)

    def _let_go(self) -> bool:
        """Whether aiohttp has nothing more to do on this connection; then its protocol is left."""
        inner, counting = self._inner, self._counting
        assert inner is not None
        assert counting is not None
        if self._paused or self._doors.leaving or not counting.settled(self._answered):
            return False
        if self._transport is None or self._transport.is_closing():
            return False
        inner.transport = None  # it must not close what goes on
        inner.connection_lost(None)
        counting.close()
        self._inner = self._counting = None
        return True


def _first_of(data: bytes) -> tuple[bytes, bytes] | None:
    """The first of several requests, and what comes behind it; None where there is one at most."""
    end = data.find(_END) + len(_END)
    return (data[:end], data[end:]) if len(_END) <= end < len(data) else None


def signs_of(protocol: asyncio.BaseProtocol) -> object:
    """What changes when a connection has seen its first request, whoever answers it."""
    return protocol.was_asked if isinstance(protocol, Door) else signs_of_aiohttp(protocol)
