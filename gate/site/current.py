"""The build that is being served, and what was made of it: swapped as one, in one assignment.

Whoever answers a request takes `build` once and goes by it to the end.
"""

import asyncio
from dataclasses import dataclass

from gate.site.index import Site
from gate.site.making import Making
from gate.site.policies import Policies
from gate.site.policy import SitePolicy


@dataclass(frozen=True, slots=True)
class Build:
    """One reading of the site."""

    site: Site
    policies: Policies
    making: Making


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
        self.build = Build(site, Policies(site, policy), Making(site))
        self._first: Build | None = None
        self._aside: asyncio.Task[None] | None = None
        self._policy = policy
        self._statistics = Statistics()

    async def __aenter__(self) -> "CurrentSite":
        self._first = self.build
        await self._first.policies.__aenter__()
        self._aside = asyncio.create_task(self._make_aside(self._first))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end_first()

    async def _make_aside(self, build: Build) -> None:
        await build.policies.surveyed()  # two threads would keep requests waiting twice as long
        await build.making.make_aside()

    async def _end_first(self) -> None:
        first, self._first = self._first, None
        if first is not None and self._aside is not None:
            first.making.end()
            await first.policies.__aexit__()
            await self._aside
            self._aside = None

    @property
    def site(self) -> Site:
        """The index that is being served."""
        return self.build.site

    async def prepared(self, site: Site) -> Build:
        """A build of a site that is to be served: all its pages have their policies."""
        policies = Policies(site, self._policy)
        await policies.survey_aside()
        return Build(site, policies, Making(site))

    async def swap(self, build: Build, *, now: float) -> None:
        """Serve another build from here on; what was begun goes on from the old one."""
        self.build = build
        await self._end_first()  # nobody needs to know any more, and its files can be let go
        self._statistics.swapped += 1
        self._statistics.since = now

    def refuse(self) -> None:
        """Count a build that is not served."""
        self._statistics.refused += 1

    def statistics(self) -> Statistics:
        """Figures for whoever watches."""
        return self._statistics
