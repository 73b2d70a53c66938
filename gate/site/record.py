"""What became of the builds of the site: which one is served since when, and which were refused."""

from collections.abc import Callable
from dataclasses import dataclass

from gate.site.index import Entry, Site


@dataclass(frozen=True, slots=True)
class SiteStatistics:
    """Counts since the start, and the site that is served."""

    loaded: int
    refused: int
    since: float
    """When the build was loaded that is served, Unix time in seconds."""
    files: int
    pages: int
    problem: str | None
    """Why the last build that was found is not served; None where it is."""


class SiteRecord:
    """Keeps it. `wall` is Unix time in seconds."""

    def __init__(self, site: Site, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._loaded = self._refused = 0
        self.loaded(site)

    def loaded(self, site: Site) -> None:
        """A build is served from now on."""
        entries = {entry.file: entry for entry in site.entries()}
        self._files = len(entries)
        self._pages = sum(map(_is_page, entries.values()))
        self._since = self._wall()
        self._loaded += 1
        self._problem: str | None = None

    def refused(self, problem: str) -> None:
        """A build was found that cannot be served; the one before is served on."""
        self._refused += 1
        self._problem = problem

    def statistics(self) -> SiteStatistics:
        """For whoever keeps metrics."""
        return SiteStatistics(
            loaded=self._loaded,
            refused=self._refused,
            since=self._since,
            files=self._files,
            pages=self._pages,
            problem=self._problem,
        )


def _is_page(entry: Entry) -> bool:
    return entry.page
