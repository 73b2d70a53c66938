"""The build that is being served, and what was made of it: swapped as one, in one assignment.

Whoever answers a request takes `build` once and goes by it to the end.
"""

from dataclasses import dataclass

from gate.site.index import Site
from gate.site.policies import Policies
from gate.site.policy import SitePolicy


@dataclass(frozen=True, slots=True)
class Build:
    """One reading of the site."""

    site: Site
    policies: Policies


@dataclass(slots=True)
class Statistics:
    """Counted since the start."""

    swapped: int = 0
    """Builds that took the place of the one before."""
    refused: int = 0
    """Builds that were broken or incomplete."""
    since: float | None = None
    """When the last swap was, Unix time."""


class CurrentSite:
    """Holds the build; an async context for as long as the site is served."""

    def __init__(self, site: Site, policy: SitePolicy) -> None:
        self.build = Build(site, Policies(site, policy))
        self._surveyed: Policies | None = None
        self._policy = policy
        self._statistics = Statistics()

    async def __aenter__(self) -> "CurrentSite":
        self._surveyed = self.build.policies
        await self._surveyed.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_survey()

    async def _end_survey(self) -> None:
        first, self._surveyed = self._surveyed, None
        if first is not None:
            await first.__aexit__()

    @property
    def site(self) -> Site:
        """The index that is being served."""
        return self.build.site

    async def prepared(self, site: Site) -> Build:
        """A build of a site that is to be served: all its pages have their policies."""
        policies = Policies(site, self._policy)
        await policies.survey_aside()
        return Build(site, policies)

    async def swap(self, build: Build, *, now: float) -> None:
        """Serve another build from here on; what was begun goes on from the old one."""
        self.build = build
        await self._end_survey()  # nobody needs to know any more, and its files can be let go
        self._statistics.swapped += 1
        self._statistics.since = now

    def refuse(self) -> None:
        """Count a build that is not served."""
        self._statistics.refused += 1

    def statistics(self) -> Statistics:
        """Figures for whoever watches."""
        return self._statistics
