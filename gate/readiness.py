"""Whether requests should be sent here: whoever knows a reason against it says so here."""


class Readiness:
    """Reasons not to be sent requests, by their cause."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}
        self._notes: dict[str, str] = {}

    def fail(self, cause: str, problem: str) -> None:
        """Something stands in the way."""
        self._problems[cause] = problem

    def note(self, cause: str, text: str) -> None:
        """Something should be looked at, and requests may come all the same."""
        self._notes[cause] = text

    def clear(self, cause: str) -> None:
        """It does no longer."""
        self._problems.pop(cause, None)
        self._notes.pop(cause, None)

    @property
    def problem(self) -> str | None:
        """Every reason in one line; None while there is none."""
        return "; ".join(self._problems.values()) or None

    @property
    def notes(self) -> str | None:
        """Everything worth a look in one line; None while there is nothing."""
        return "; ".join(self._notes.values()) or None
