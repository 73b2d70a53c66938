"""What a request brings and where it comes from: pure rules over its target and headers.

Tokens are only found here, never judged. The rules are those of "Intake, exactly" in the handbook's
security page; each function is one of them.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from string import punctuation
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from aiohttp import web
from multidict import CIMultiDictProxy

from gate.config.settings import IntakeSettings
from gate.scope import Scope
from gate.site.index import Site

Headers = CIMultiDictProxy[str]

OWN = "/-/"
"""Everything of the gate's own lives under this path."""

_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_LEADING = re.compile(r"[/\\]+")
_PRINTABLE = re.compile(r"[!-~]*")
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_FRAMES = frozenset({"iframe", "frame", "embed", "object", "fencedframe"})


class Target(NamedTuple):
    """A request target as it came over the wire: path and query still percent-encoded."""

    path: str
    query: str


def target_of(raw: str) -> Target | None:
    """Split a request target (RFC 9112, section 3.2); None where it names no path of a server, or
    has characters that no URL has and that a header we answer with could not carry."""
    if not _PRINTABLE.fullmatch(raw) or "#" in raw:
        return None
    if not raw.startswith("/"):
        found = _ABSOLUTE.match(raw)
        if found is None:
            return None
        raw = raw[found.end() :]
        if not raw.startswith("/"):
            raw = "/" + raw
    path, _, query = raw.partition("?")
    return Target(path, query)


def without_prefix(path: str, prefix: str) -> str:
    """A path as it is on a host of our own: `prefix` is the path of `public_url`. A proxy in front
    may have taken it away already."""
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def known_target(request: web.Request) -> Target:
    """The target of a request that the corridor let pass: there is one."""
    target = target_of(request.raw_path)
    assert target is not None
    return target


class Reader:
    """Finds tokens in requests, as `[intake]` allows."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._settings = settings

    def query_tokens(self, query: str) -> list[str]:
        """The decoded values of the token's parameter."""
        name = self._settings.query
        if not name or not query:
            return []
        pairs = (pair.partition("=") for pair in query.split("&"))
        # a plus stays a plus: no token has a space, and portals forget to encode base64's "+"
        return [unquote(value) for key, _, value in pairs if _named(key, name)]

    def without_token(self, query: str) -> str:
        """The query less the token's parameter, the rest byte for byte."""
        name = self._settings.query
        if not name:
            return query
        kept = [pair for pair in query.split("&") if not _named(pair.partition("=")[0], name)]
        return "&".join(kept)

    def bearer_tokens(self, headers: Headers) -> list[str]:
        """What stands behind `Bearer` in Authorization headers; other schemes are ignored."""
        if not self._settings.bearer:
            return []
        found = []
        for value in headers.getall("Authorization", ()):
            scheme, _, token = value.strip(" \t").partition(" ")
            if scheme.lower() == "bearer":
                found.append(token.strip(" \t"))
        return found


def _named(raw_key: str, name: str) -> bool:
    return raw_key == name or unquote_plus(raw_key) == name


def differ(tokens: Iterable[str]) -> bool:
    """Whether a request brings two different tokens."""
    return len(set(tokens)) > 1


def may_take_query(method: str, headers: Headers) -> bool:
    """Whether a token in the query begins a session: only for a GET that opens a page for a
    person, or from a client without Fetch metadata; never for a prefetch."""
    mode = headers.get("Sec-Fetch-Mode")
    return method == "GET" and mode in (None, "navigate") and "Sec-Purpose" not in headers


def is_foreign_load(headers: Headers) -> bool:
    """Whether a page of another origin loads us as a part of itself, rather than opening us or
    framing us (Fetch metadata). Clients that do not say are no browsers with a reader's cookie."""
    if headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none"):
        return False
    return headers.get("Sec-Fetch-Mode") != "navigate"


def is_top_level(headers: Headers) -> bool:
    """Whether a page is opened in a window of its own."""
    return headers.get("Sec-Fetch-Dest") == "document"


def is_navigation(headers: Headers) -> bool:
    """Whether a person will look at the answer, so that it should be a page."""
    mode = headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return "text/html" in headers.get("Accept", "")


class AllowedOrigins:
    """The allowed origins, and the gate's own as browsers see it."""

    def __init__(self, allowed: Collection[str], public_url: str) -> None:
        self._allowed = frozenset(allowed)
        self._public = origin_of(public_url) if public_url else None

    def own(self, scope: Scope) -> str | None:
        """The gate's own origin: `public_url`, else how this request was addressed."""
        return self._public or origin_of(f"{scope.scheme}://{scope.host}")

    def knows(self, origin: str | None, scope: Scope) -> bool:
        """Whether an origin is ours or allowed; `null` and none never are."""
        return origin is not None and (origin in self._allowed or origin == self.own(scope))


@lru_cache(maxsize=1024)
def origin_of(url: str) -> str | None:
    """The origin of an http(s) URL as browsers write it (RFC 6454): lower case, no default port."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if port in (None, standard) else f":{port}")


def comes_from(headers: Headers) -> str | None:
    """The one Origin header; None where there is none or several."""
    values = headers.getall("Origin", ())
    return values[0] if len(values) == 1 else None


def framed_by(headers: Headers) -> str | None:
    """The Referer of a cross-site page that loads us into a frame; None where there is no such
    page, or it tells nothing. A frame that the browser then blocks still stores its cookie, so
    `frame-ancestors` alone would let any page begin a session."""
    if headers.get("Sec-Fetch-Site") != "cross-site":
        return None
    return headers.get("Referer") if headers.get("Sec-Fetch-Dest") in _FRAMES else None


def return_path(raw_path: str, query: str, site: Site) -> str:
    """Where the 303 after a query intake goes: the canonical path, or the same unknown path with
    its leading slashes collapsed, so that it can never name another host."""
    path = site.canonical(raw_path)
    return with_query(here(raw_path) if path is None else path, query)


def here(raw_path: str) -> str:
    """A path as it came, spelt so that it can never name another host."""
    return "/" + _LEADING.sub("", raw_path, count=1)


def with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def next_path(wanted: str, site: Site, reader: Reader) -> str:
    """Where a form intake goes: `wanted` where it is a path of this site, however spelt, else `/`.

    The index decides, and the path in the answer is the index's own spelling of it. A query and a
    fragment stay as they are, but for what no URL can hold.
    """
    address, hash_sign, fragment = wanted.partition("#")
    path, _, query = address.partition("?")
    known = site.canonical(path)
    if known is None or _CONTROL.search(wanted):
        return "/"
    kept = reader.without_token(query)
    rest = (f"?{kept}" if kept else "") + hash_sign + fragment
    return known + quote(rest, safe=punctuation, errors="replace")
