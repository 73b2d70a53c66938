"""What a Content-Security-Policy of the site says: the directives, the hashes, and what the
settings add.

Which page has which policy, and when that is known, is the business of `policies`.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from gate.config.settings import SiteSettings
from gate.site.inline_scripts import Page, all_in_one

Headers: TypeAlias = Mapping[str, str]
"""The policy as the headers of a response."""

ENFORCED: Final = "Content-Security-Policy"
REPORTED: Final = "Content-Security-Policy-Report-Only"

_DIRECTIVES: Final = {
    "default-src": ("'self'",),
    "script-src": ("'self'",),
    "style-src": ("'self'", "'unsafe-inline'"),  # every theme sets styles on elements
    "img-src": ("'self'", "data:"),
    "font-src": ("'self'", "data:"),
    "connect-src": ("'self'",),
    "worker-src": ("'self'",),
    "frame-src": ("'self'",),
    "object-src": ("'none'",),
    "base-uri": ("'self'",),
    "form-action": ("'self'",),
}
# XML can hold scripts too. No `sandbox`: nothing runs without it, and with it a drawing would be a
# stranger to its own site, whose links and images would be refused as such
_DRAWING: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; "
)
_XML: Final = re.compile(r"(?:application|image)/(?:\w+\+)?xml")
_SOURCE: Final = re.compile(r"(?:(?P<scheme>[^:/]+)://)?(?P<host>[^:/]+)(?::(?P<port>[^/]+))?.*")


class SitePolicy:
    """Makes the policies of one site. `ancestors` is the frame-ancestors directive, which is
    enforced always; `own` is the gate's address to browsers, "" where unknown."""

    def __init__(self, settings: SiteSettings, ancestors: str, own: str) -> None:
        self.mode = settings.csp
        self._ancestors = ancestors
        self._own = own
        self._sources = {name: list(sources) for name, sources in _DIRECTIVES.items()}
        for entry in settings.csp_sources:
            directive, *sources = entry.split(" ")
            known = self._sources.setdefault(directive, ["'self'"])
            known += (source for source in sources if source not in known)
        if len(self._sources["object-src"]) > 1:
            self._sources["object-src"].remove("'none'")
        self._plain: Headers = {ENFORCED: ancestors}
        self._made: dict[tuple[frozenset[str], frozenset[str]], Headers] = {}

    def page(self, page: Page) -> Headers:
        """For pages that run the same; one object for one policy, as most pages are alike."""
        key = (page.scripts, page.handlers)
        found = self._made.get(key)
        return found or self._made.setdefault(key, self._page(page))

    def _page(self, page: Page) -> Headers:
        if self.mode == "off":
            return self._plain
        unsafe = ["'unsafe-hashes'"] if page.handlers else []
        hashes = sorted(page.scripts | page.handlers)
        sources = {**self._sources, "script-src": [*self._sources["script-src"], *unsafe, *hashes]}
        text = "; ".join(" ".join((name, *each)) for name, each in sources.items())
        if self.mode == "report-only":
            return {ENFORCED: self._ancestors, REPORTED: text}
        return {ENFORCED: f"{text}; {self._ancestors}"}

    def file(self, media_type: str) -> Headers:
        """For what is no page. Most files can run nothing, so nothing is said of them that a
        viewer of pictures, films or PDF in some browser might trip over."""
        if self.mode == "strict" and media_type.startswith("text/javascript"):
            return self.page(Page())  # a worker lives by that of its own file
        if self.mode == "strict" and _XML.match(media_type):
            return {ENFORCED: _DRAWING + self._ancestors}
        return self._plain

    def blocked(self, pages: Collection[Page]) -> list[str]:
        """What pages load from other hosts and the policy keeps out, as entries of csp_sources."""
        if self.mode == "off":
            return []
        return [
            f"{directive} {origin}"
            for directive, origin in sorted(all_in_one(pages).loads)
            if origin != self._own
            and not any(_allows(each, origin) for each in self._sources.get(directive, ()))
        ]


def size(headers: Headers) -> int:
    """The bytes of the longest header line, its end included."""
    return max(len(name) + len(text) + len(": \r\n") for name, text in headers.items())


def _allows(source: str, origin: str) -> bool:
    """Whether a source of a policy lets load from an origin (CSP Level 3, section 6.7.2.8)."""
    url = urlsplit(origin)
    if source.lower() in ("*", f"{url.scheme}:"):
        return True
    found = _SOURCE.fullmatch(source.lower())
    if found is None or source.startswith("'"):
        return False
    if found["scheme"] not in (None, "http", url.scheme):  # a source of http lets https load too
        return False
    if found["port"] != "*" and found["port"] != (str(url.port) if url.port else None):
        return False
    host = url.hostname or ""
    if found["host"].startswith("*."):
        return host.endswith(found["host"][1:])
    return host == found["host"]
