"""Which ways of loading the site are refused whoever asks, by what Fetch metadata says."""

from multidict import CIMultiDictProxy

from gate.intake import is_foreign_load, is_top_level


class Manner:
    """The rule. `framed_only` is `[frame] only`."""

    def __init__(self, *, framed_only: bool) -> None:
        self._framed_only = framed_only

    def unwelcome(self, headers: CIMultiDictProxy[str]) -> str | None:
        """The name of the page that says why; None where nothing is wrong."""
        if is_foreign_load(headers):
            return "forbidden_load"
        return "framed_only" if self._framed_only and is_top_level(headers) else None
