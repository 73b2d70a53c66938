"""Sessions in the path, for frames in which the browser keeps no cookie.

The sealed session is a folder in front of the site: /-/s/<sealed>/guide/. Pages link relatively, so
that reading on stays inside it. It is a credential in an address, and therefore short-lived, of use
to the gate's own frame alone, kept by no cache, sent to nobody as a referrer, and never logged.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from multidict import CIMultiDictProxy

from gate.intake import Target
from gate.seal import Seal, Session

PREFIX = "/-/s/"

LIFETIME = 900.0
"""Seconds: longer is no way to treat a credential that stands in an address."""

_FRAMED = frozenset({"iframe", "frame"})


class PathSessions:
    """Makes and opens prefixes. `keys` are those of this purpose alone, so that no cookie opens
    here and no prefix as a cookie; `clock` is the wall clock. Turned off, it opens nothing."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float], *, enabled: bool) -> None:
        self._seal = Seal(keys)
        self._clock = clock
        self.enabled = enabled

    def begin(self, session: Session, until: float) -> tuple[str, int]:
        """A folder below /-/ for a session that ends by `until`, Unix time, and the seconds until
        then."""
        end = min(self._clock() + LIFETIME, until)
        sealed = self._seal.seal(replace(session, expires=end))
        return f"{PREFIX.removeprefix('/-/')}{sealed}/", max(0, int(end - self._clock()))

    def of(self, sealed: str, headers: CIMultiDictProxy[str]) -> Session | None:
        """The session in a path, for a request of the gate's own frame; None for any other."""
        return self._seal.open(sealed) if self.enabled and is_inside(headers) else None

    def opened(self, folder: str) -> Session | None:
        """The session in a folder that `begin` made, whoever brings it: enough to end it."""
        split = split_target(Target("/-/" + folder, ""))
        return None if split is None else self._seal.open(split[0])


def split_target(target: Target) -> tuple[str, Target] | None:
    """What is sealed in a target's path, and the target inside; None where it has no prefix."""
    if not target.path.startswith(PREFIX):
        return None
    sealed, _, rest = target.path.removeprefix(PREFIX).partition("/")
    return sealed, Target("/" + rest, target.query)


def is_inside(headers: CIMultiDictProxy[str]) -> bool:
    """Whether a page of ours in a frame asks: never a window of its own, where the address could
    be copied to, and never a client that does not say (Fetch metadata, W3C)."""
    dest = headers.get("Sec-Fetch-Dest")
    if headers.get("Sec-Fetch-Site") != "same-origin" or dest in (None, "document"):
        return False
    return headers.get("Sec-Fetch-Mode") != "navigate" or dest in _FRAMED
