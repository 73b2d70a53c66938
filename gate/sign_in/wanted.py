"""Which page a person wanted before signing in: as the browser says it, to be checked later.

The page that offers to sign in is the same for every address of the site, so the address is not in
it. The browser tells it to us alone, as the Referer of the next request (`same-origin`).
"""

import re
from urllib.parse import parse_qsl, quote

from multidict import CIMultiDictProxy

from gate.intake import Reader, origin_of, target_of

LONGEST = 2048
"""Bytes of an address that are kept for a person who signs in."""

START = "/"
_PATH = re.compile(r"/(?![/\\])[!-~]*")


def wanted_by(stated: str, headers: CIMultiDictProxy[str], own: str | None) -> str:
    """The path, query and fragment that were wanted: what the page `stated`, else the page that the
    request came from if it is one of `own` origin, else the start page."""
    if stated:
        return stated if len(stated) <= LONGEST else START
    came_from = headers.get("Referer", "")
    if own is None or origin_of(came_from) != own:
        return START
    target = target_of(came_from.partition("#")[0])
    if target is None or len(came_from) > LONGEST:
        return START
    if target.path.startswith("/-/"):
        return dict(parse_qsl(target.query)).get("next", START)
    return f"{target.path}?{target.query}" if target.query else target.path


def portal_address(portal_url: str, wanted: str, reader: Reader) -> str:
    """Where "open through the portal" leads, with the wanted page in place of `{path}`.

    Whether there is such a page is not looked up: the answer would tell a stranger. A token of the
    address stays behind.
    """
    path, mark, query = wanted.partition("#")[0].partition("?")
    kept = reader.without_token(query)
    address = path + (mark + kept if kept else "")
    if not _PATH.fullmatch(address):
        address = START
    return portal_url.replace("{path}", quote(address, safe=""))
