"""One person's sign-in while it waits for the phone: its states, and who looks at it."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum

from gate.sign_in.progress import Transaction


class State(Enum):
    """Where a sign-in stands. The values are what pages and event streams call them."""

    WAITING = "waiting"  # for the phone
    UNREACHABLE = "unreachable"  # the authorizer does not answer; it is asked again
    ACCEPTED = "accepted"  # the token is here, the browser has not fetched its session
    REFUSED = "refused"  # the person said no on the phone
    EXPIRED = "expired"  # the time ran out
    FAILED = "failed"  # the authorizer said something that is no answer
    CANCELLED = "cancelled"  # by a button of the page
    REPLACED = "replaced"  # this browser began anew, or others needed the place
    USED = "used"  # the session began
    RESTARTED = "restarted"  # the gate did


LIVE = frozenset({State.WAITING, State.UNREACHABLE, State.ACCEPTED})


@dataclass(slots=True, eq=False)
class Flow:
    """A sign-in. Times are by the monotonic clock."""

    id: str
    place: str
    """What its client's address counts for."""
    agent: str
    """The name of its browser."""
    wanted: str
    """The page first asked for, as the browser named it: not checked yet."""
    deadline: float
    seen: float
    """When a page of it was last asked for."""
    state: State = State.WAITING
    interval: float = 5.0
    next_poll: float = 0.0
    failures: int = 0
    watchers: int = 0
    """Event streams that are open."""
    transaction: Transaction | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    """The QR code as SVG."""
    poller: asyncio.Task[None] | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the next change of state, and then replaced."""

    @property
    def is_live(self) -> bool:
        """Whether it may still come to a session."""
        return self.state in LIVE

    def turn(self, state: State) -> None:
        """Change the state and tell all who look. What has ended keeps no secret."""
        if state is self.state:
            return
        self.state = state
        if state is not State.ACCEPTED:
            self.token = ""
        if not self.is_live:
            self.transaction, self.code = None, ""
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()
