"""How the URL of a shared server may be spelt. Needs no client library."""

import re
from urllib.parse import parse_qs, urlsplit

_IN_QUERY = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""What a URL may say behind its `?`. Nothing there can lift a limit or turn verification off."""


def url_problem(url: str) -> str | None:
    """What is wrong with the URL of a shared server, for the middle of a sentence; None if nothing.
    It repeats no part of the URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no URL; in a password, write @ : / ? # as %40 %3A %2F %3F %23"
    if parts.scheme not in ("redis", "rediss", "unix"):
        return "must begin with redis://, rediss:// or unix://"
    if parts.fragment:
        return "has a #; in a password, write it as %23"
    if parts.scheme == "unix" and not parts.path:
        return "must name the path of a socket, as unix:///run/redis.sock"
    if parts.scheme != "unix" and not parts.hostname:
        return "must name a host"
    if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]{0,9}", parts.path):
        return "may have a number of a database as its path, nothing else"
    query = parse_qs(parts.query, keep_blank_values=True)
    if not query.keys() <= _IN_QUERY:
        return f"may have these behind its ?, nothing else: {', '.join(sorted(_IN_QUERY))}"
    if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in query.get("db", ())):
        return "must have a number as db"
    return None
