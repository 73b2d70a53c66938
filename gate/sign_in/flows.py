"""All sign-ins that wait for a phone: begun, polled, given up, and bounded in number.

Each has one poller, which asks as often as the authorizer allows and not at all while nobody looks.
The transaction's secret and the token stay in this process: a restart ends every sign-in.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from gate.clocks import Clocks
from gate.config.sign_in import QrSettings
from gate.limits import FailureLimits, place_of
from gate.sign_in import qr
from gate.sign_in.counts import SignInStatistics
from gate.sign_in.flow import Flow, State
from gate.sign_in.neighbours import ALONE
from gate.sign_in.progress import Answer, BadAnswer, Transaction, Unreachable, Word

log = logging.getLogger(__name__)

MIN_INTERVAL = 0.5
"""Seconds: an authorizer that wants to be asked more often is not."""

SLOWER = 5.0
"""Seconds that each `slow_down` adds to the interval (RFC 8628, section 3.5)."""

LONGEST_PAUSE = 60.0
"""Seconds between two questions to an authorizer that does not answer: each pause is twice the one
before."""

GONE_AFTER = 15.0
"""Seconds without a page or an open stream, after which nothing is asked any more. A page without
scripts asks anew every 5 seconds."""

FINISH_SECONDS = 60.0
"""For the browser to fetch its session, once the phone has said yes."""


_STARTS = ("started", "full", "unavailable")

_ENDS = ("approved", "refused", "expired", "failed", "cancelled", "replaced")
"""Values of `State`, and what comes before a session."""


class Authorizer(Protocol):
    """Whoever knows what the phone said."""

    async def start(self, name: str) -> Transaction:
        """Begin a transaction for a person who typed this name, "" where nobody was asked. Raises
        `Unreachable` or `BadAnswer`."""

    async def poll(self, transaction: Transaction) -> Answer:
        """How it stands. Raises `Unreachable` or `BadAnswer`."""


class Full(Exception):
    """No more sign-ins can wait now."""


class Flows:
    """The registry. What has ended is remembered for a while, to tell its browser how. Who is
    refused on the phone has failed, as far as `limits` are concerned."""

    def __init__(
        self,
        settings: QrSettings,
        authorizer: Authorizer,
        limits: FailureLimits,
        clocks: Clocks,
        new_id: Callable[[], str] = ALONE.new_id,
    ) -> None:
        self._settings = settings
        self._authorizer = authorizer
        self._limits = limits
        self._clocks = clocks
        self._new_id = new_id
        self._starts = dict.fromkeys(_STARTS, 0)
        self._ends = dict.fromkeys(_ENDS, 0)
        self._live: OrderedDict[str, Flow] = OrderedDict()
        self._over: OrderedDict[str, Flow] = OrderedDict()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._live)

    def statistics(self) -> SignInStatistics:
        """What was counted until now."""
        return SignInStatistics(len(self), dict(self._starts), dict(self._ends))

    async def begin(self, address: str, agent: str, wanted: str, *, name: str = "") -> Flow:
        """Start a transaction. Raises `Full`, `Unreachable` or `BadAnswer`."""
        try:
            flow = await self._begin(address, agent, wanted, name)
        except Full:
            self._starts["full"] += 1
            raise
        except (Unreachable, BadAnswer):
            self._starts["unavailable"] += 1
            raise
        self._starts["started"] += 1
        return flow

    async def _begin(self, address: str, agent: str, wanted: str, name: str) -> Flow:
        now = self._clocks.monotonic()
        place = place_of(address)
        self._make_room(place, now)
        flow = Flow(
            id=self._new_id(),
            place=place,
            agent=agent,
            wanted=wanted,
            deadline=now + self._settings.flow_lifetime,
            seen=now,
        )
        self._live[flow.id] = flow  # its place is taken while the authorizer is asked
        try:
            transaction = await self._authorizer.start(name)
            flow.code = await asyncio.to_thread(qr.svg, transaction.text)
        except BaseException:
            self._live.pop(flow.id, None)
            raise
        if not flow.is_live:  # the gate stops
            raise Full
        flow.transaction = transaction
        flow.interval = max(transaction.interval or self._settings.poll_interval, MIN_INTERVAL)
        now = flow.seen = self._clocks.monotonic()
        lifetime = min(transaction.lifetime or flow.deadline - now, self._settings.flow_lifetime)
        flow.deadline, flow.next_poll = now + lifetime, now + flow.interval
        self._see_to(flow)
        return flow

    def find(self, flow_id: str) -> Flow | None:
        """A sign-in that somebody looks at, ended or not; None where this process knows none."""
        flow = self._live.get(flow_id)
        if flow is None:
            return self._over.get(flow_id)
        now = flow.seen = self._clocks.monotonic()
        if now >= flow.deadline:
            self.end(flow, State.EXPIRED)
        else:
            self._see_to(flow)
        return flow

    @contextmanager
    def watching(self, flow: Flow) -> Iterator[None]:
        """While this lasts, a page of it is open."""
        flow.watchers += 1
        self._see_to(flow)
        try:
            yield
        finally:
            flow.watchers -= 1
            flow.seen = self._clocks.monotonic()

    def seconds_left(self, flow: Flow) -> int:
        """Until its QR code is no good any more."""
        return max(0, round(flow.deadline - self._clocks.monotonic()))

    def take(self, flow: Flow) -> str | None:
        """The token of an accepted sign-in, once; None where there is none."""
        token = flow.token
        if flow.state is not State.ACCEPTED or self._clocks.monotonic() >= flow.deadline:
            return None
        self.end(flow, State.USED)
        return token

    def give_back(self, flow: Flow, token: str) -> None:
        """Undo `take`: nobody could say whether the token is good, and the browser will ask again
        within `FINISH_SECONDS`."""
        self._over.pop(flow.id, None)
        self._live[flow.id] = flow
        flow.token = token
        flow.turn(State.ACCEPTED)
        self._see_to(flow)

    def end(self, flow: Flow, state: State) -> None:
        """Whatever it was, it is over."""
        if self._live.pop(flow.id, None) is None:
            return
        # where there is none, it never began, or is counted as approved
        if flow.transaction is not None and state.value in self._ends:
            self._ends[state.value] += 1
        flow.turn(state)
        if flow.poller is not None and flow.poller is not asyncio.current_task():
            flow.poller.cancel()
            flow.poller = None
        self._over[flow.id] = flow
        while len(self._over) > self._settings.max_flows:
            self._over.popitem(last=False)

    async def close(self) -> None:
        """End all of them, with the word that the gate stops."""
        pollers = [flow.poller for flow in self._live.values() if flow.poller is not None]
        for flow in list(self._live.values()):
            self.end(flow, State.RESTARTED)
        await asyncio.gather(*pollers, return_exceptions=True)

    def _make_room(self, place: str, now: float) -> None:
        """Raises `Full`. A sign-in whose page is gone makes way for one in front of which somebody
        stands, so that closed pages lock nobody out."""
        for flow in [flow for flow in self._live.values() if now >= flow.deadline]:
            self.end(flow, State.EXPIRED)
        near = [flow for flow in self._live.values() if flow.place == place]
        if len(near) >= self._settings.max_flows_per_address:
            self._evict(near, now)
        if len(self._live) >= self._settings.max_flows:
            self._evict(list(self._live.values()), now)

    def _evict(self, flows: list[Flow], now: float) -> None:
        gone = next((flow for flow in flows if self._is_gone(flow, now)), None)
        if gone is None:
            raise Full
        self.end(gone, State.REPLACED)

    def _is_gone(self, flow: Flow, now: float) -> bool:
        return not flow.watchers and now - flow.seen > GONE_AFTER

    def _see_to(self, flow: Flow) -> None:
        """Let somebody poll, if nobody does."""
        if flow.is_live and flow.transaction is not None and flow.poller is None:
            flow.poller = asyncio.get_running_loop().create_task(self._poll(flow))

    async def _poll(self, flow: Flow) -> None:
        with suppress(asyncio.CancelledError):
            try:
                await self._poll_while_watched(flow)
            except Exception:
                log.exception("a sign-in by QR code failed")
                self.end(flow, State.FAILED)
        if flow.poller is asyncio.current_task():
            flow.poller = None

    async def _poll_while_watched(self, flow: Flow) -> None:
        while flow.is_live:
            waits = flow.state is not State.ACCEPTED
            until = min(flow.next_poll, flow.deadline) if waits else flow.deadline
            await self._clocks.sleep(max(0.0, until - self._clocks.monotonic()))
            now = self._clocks.monotonic()
            if now >= flow.deadline:
                self.end(flow, State.EXPIRED)
            elif waits and self._is_gone(flow, now):
                return
            elif waits and now >= flow.next_poll:
                await self._ask(flow)

    async def _ask(self, flow: Flow) -> None:
        assert flow.transaction is not None, "begun"
        try:
            answer = await self._authorizer.poll(flow.transaction)
        except Unreachable as problem:
            self._pause(flow, problem)
            return
        except BadAnswer as problem:
            log.warning("a sign-in by QR code ended: %s", problem)
            answer = Answer(Word.FAILED)
        if not flow.is_live:  # ended while we asked
            return
        flow.failures = 0
        self._heed(flow, answer)

    def _pause(self, flow: Flow, problem: Unreachable) -> None:
        if flow.failures == 0:
            log.warning("the sign-in service cannot be reached: %s", problem)
        flow.failures += 1
        # section 3.5 asks for fewer questions after each that got no answer
        pause = min(flow.interval * 2.0 ** min(flow.failures, 10), LONGEST_PAUSE)
        flow.next_poll = self._clocks.monotonic() + max(pause, flow.interval)
        if flow.is_live:
            flow.turn(State.UNREACHABLE)

    def _heed(self, flow: Flow, answer: Answer) -> None:
        now = self._clocks.monotonic()
        match answer.word:
            case Word.PENDING | Word.SLOW_DOWN:
                if answer.word is Word.SLOW_DOWN:
                    flow.interval += SLOWER
                flow.next_poll = now + flow.interval
                flow.turn(State.WAITING)
            case Word.ACCEPTED:
                flow.token = answer.token
                flow.transaction, flow.code = None, ""
                flow.deadline = now + FINISH_SECONDS
                self._ends["approved"] += 1
                flow.turn(State.ACCEPTED)
            case Word.REFUSED:
                self._limits.failed(flow.place, flow.agent)
                self.end(flow, State.REFUSED)
            case Word.EXPIRED:
                self.end(flow, State.EXPIRED)
            case Word.FAILED:
                self.end(flow, State.FAILED)
