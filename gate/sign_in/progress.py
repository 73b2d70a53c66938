"""What an authorizer says: a transaction began, and how it stands. Plain values."""

from dataclasses import dataclass, field
from enum import Enum


class Word(Enum):
    """The answer to one question about a transaction."""

    PENDING = "pending"  # nobody has approved it yet
    SLOW_DOWN = "slow_down"  # the same, and we ask too often
    ACCEPTED = "accepted"  # here is the token
    REFUSED = "refused"  # the person said no
    EXPIRED = "expired"  # it took too long
    FAILED = "failed"  # nothing that more asking would mend


@dataclass(frozen=True, slots=True)
class Transaction:
    """What began at the authorizer. Times are in seconds."""

    secret: str = field(repr=False)
    """The device code or transaction id: whoever has it can fetch the token. It stays here."""
    text: str = field(repr=False)
    """What the QR code says."""
    user_code: str = field(default="", repr=False)
    """To be typed or compared; "" where there is none."""
    address: str = field(default="", repr=False)
    """Where the user code can be typed."""
    lifetime: float | None = None
    interval: float | None = None
    """Between two questions; None where the authorizer does not say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a transaction stands."""

    word: Word
    token: str = field(default="", repr=False)
    """With `ACCEPTED`."""


class Unreachable(Exception):
    """The authorizer cannot say now. The message is for the log and holds nothing of an answer."""


class BadAnswer(Exception):
    """The authorizer said something that is no answer: asking again is no use. The message is for
    the log and holds nothing of an answer."""
