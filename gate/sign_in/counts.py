"""What is counted of sign-ins by QR code. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignInStatistics:
    """So many wait now; how beginnings went, and what came of what began, since the start. Each
    that began has one end, and "approved" is one, whatever the verify API says then."""

    waiting: int
    starts: Mapping[str, int]
    ends: Mapping[str, int]
