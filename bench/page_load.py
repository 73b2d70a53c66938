"""One page of a Material site as a browser loads it that has nothing of it yet.

The page names its stylesheets, scripts and images; the theme's script then fetches the list of
pages, the search index and the worker that searches, as Chromium's requests showed.
"""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from bench.chromium import FETCH, IMAGE, NAVIGATION, SCRIPT, STYLESHEET, WORKER

Asked = tuple[str, dict[str, str]]
"""A path and the headers."""

_FETCHED = ("sitemap.xml", "search/search_index.json")
_WORKER = "assets/javascripts/workers/search.*.js"


class _Parts(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._base = base

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "link" and named.get("rel") == "stylesheet":
            self._add(named.get("href"), STYLESHEET)
        elif tag == "script":
            self._add(named.get("src"), SCRIPT)
        elif tag == "img":
            self._add(named.get("src"), IMAGE)

    def _add(self, link: str | None, headers: dict[str, str]) -> None:
        if link and not urlsplit(link).scheme:
            self.found.setdefault(urlsplit(urljoin(self._base, link)).path, headers)


def page_load(site: Path, page: str) -> list[Asked]:
    """The requests, in order; `page` is a path of the site that ends with a slash."""
    parts = _Parts(page)
    parts.feed((site / page.lstrip("/") / "index.html").read_text("utf-8"))
    asked: list[Asked] = [(page, NAVIGATION), *parts.found.items()]
    asked += [(f"/{name}", FETCH) for name in _FETCHED if (site / name).is_file()]
    workers = sorted(site.glob(_WORKER))
    return asked + [(f"/{each.relative_to(site).as_posix()}", WORKER) for each in workers]
