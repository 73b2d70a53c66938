"""Which Content-Security-Policy every file of the site is sent with.

Reading thousands of pages takes longer than a start may: a thread does it once the gate serves.
Until it is done a page that is asked for is read by itself, and never sent without its policy.
"""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Final

from gate.site import media
from gate.site.index import Entry, Site
from gate.site.inline_scripts import Page, all_in_one, read_page
from gate.site.policy import Headers, SitePolicy, size
from gate.site.tree import TreeProblem

log = logging.getLogger(__name__)

MOST_BYTES: Final = 4096
"""Of one header: proxies in front commonly refuse an answer whose headers are longer than 4 or
8 kB, and there are others beside this one."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found in all pages."""

    pages: int
    one_for_all: bool
    """Whether every page is sent the same policy."""
    longest: int
    """Bytes of the longest header line."""
    longest_page: str
    blocked: list[str]
    """What pages load and the policy keeps out, as entries of `csp_sources`."""

    @property
    def advice(self) -> str:
        """The setting that lets it load."""
        return f"[site] csp_sources = {json.dumps(self.blocked)}"


class Policies:
    """The policies of one site, an async context for as long as it is served."""

    def __init__(self, site: Site, policy: SitePolicy) -> None:
        self._policy = policy
        self._pages: dict[str, list[str]] = {}  # by file: the paths that it is sent for
        self._entries: dict[str, Entry] = {}  # by file
        self._known: dict[str, Headers] = {}  # by path
        for entry in site.entries():
            if entry.page and policy.mode != "off":
                self._pages.setdefault(entry.file, []).append(entry.path)
                self._entries[entry.file] = entry
            else:
                self._known[entry.path] = policy.file(media.media_type(entry.file))
        self._read: dict[str, Page] = {}  # by file
        self._asked: dict[str, asyncio.Task[Page]] = {}  # by file
        self._ending = False
        self.edition = 0
        """Changes where what `of` said of a file may not hold any more."""

    async def __aenter__(self) -> "Policies":
        self._surveying = asyncio.create_task(self.survey_aside())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        await self._surveying

    async def surveyed(self) -> None:
        """Wait until all pages are read."""
        await asyncio.shield(self._surveying)

    def of(self, entry: Entry) -> Headers | None:
        """The policy of a file; None for a page that has not been read yet."""
        return self._known.get(entry.path)

    async def of_page(self, entry: Entry) -> Headers:
        """The same, after reading the page where nobody has."""
        file = entry.file
        while (known := self.of(entry)) is None:
            task = self._asked.get(file)
            if task is None:
                task = asyncio.create_task(asyncio.to_thread(self._page, entry))
                task.add_done_callback(lambda _: self._asked.pop(file))
                self._asked[file] = task
            page = await asyncio.shield(task)
            # the survey may have ended meanwhile, and then knows better
            self._known.setdefault(entry.path, self._policy.page(page))
        return known

    def survey(self) -> Survey | None:
        """Read all pages, and decide on one policy for all or each its own. None where there is
        nothing to decide, or not any more, or the context has ended meanwhile."""
        pages: dict[str, Page] = {}
        for file, entry in self._entries.items():
            if self._ending:
                return None
            pages[file] = self._page(entry)
        if not pages:
            return None
        union = self._policy.page(all_in_one(pages.values()))
        one_for_all = size(union) <= MOST_BYTES
        chosen = {
            file: union if one_for_all else self._policy.page(page) for file, page in pages.items()
        }
        by_path = {path: chosen[file] for file in chosen for path in self._pages[file]}
        self._known = {**self._known, **by_path}  # at once: the loop looks into it all the time
        self.edition += 1
        self._read, self._entries, self._pages = {}, {}, {}  # they are needed once
        longest = max(chosen, key=lambda file: size(chosen[file]))
        blocked = self._policy.blocked(pages.values())
        return Survey(len(pages), one_for_all, size(chosen[longest]), longest, blocked)

    async def survey_aside(self) -> None:
        """The same in a thread, and into the log what the operator should know."""
        try:
            survey = await asyncio.to_thread(self.survey)
        except Exception:
            log.exception("not all pages could be read: each is sent its own policy")
            return
        if survey is not None:
            _tell(survey)

    def _page(self, entry: Entry) -> Page:
        """Read a page, in memory or on disk. Nothing is allowed to one that cannot be read."""
        file = entry.file
        found = self._read.get(file)
        if found is None:
            try:
                found = read_page(entry.content.plain())
            except (OSError, TreeProblem, ValueError) as error:
                log.warning("the scripts of %s are not allowed: it cannot be read: %s", file, error)
                found = Page()
            self._read[file] = found
        return found


def _tell(survey: Survey) -> None:
    if survey.blocked:
        log.warning(
            "pages load from hosts that [site] csp does not allow; to allow them: %s",
            survey.advice,
        )
    if survey.one_for_all:
        log.debug("one content security policy of %d bytes for all pages", survey.longest)
        return
    log.info("the scripts of all pages do not fit into one content security policy: each its own")
    if survey.longest > MOST_BYTES:
        log.warning(
            "the content security policy of %s has %d bytes, which a proxy in front may refuse: "
            "move its scripts into files",
            survey.longest_page,
            survey.longest,
        )
