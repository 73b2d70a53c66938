"""The spelling of URLs and origins, and what they are normalised to.

The types at the end are what the settings are made of. No message repeats a value, because a URL
may hold a secret.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from gate.config.spelling import URL_WITH_SECRET, is_loopback, spelt
from gate.shared.url import url_problem

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_IP_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label that makes a host an IPv4 address


def _split(text: str) -> SplitResult:
    if not text.isprintable() or " " in text or "\\" in text:
        raise ValueError("must not have spaces, backslashes or control characters")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL: look at its host and port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be http:// or https:// and then a host")
    return parts


def _http_url(text: str) -> str:
    if text and _split(text).fragment:
        raise ValueError('must not have a "#": what follows it is never sent')
    return text


def _host(name: str) -> str:
    try:
        if ":" in name and "%" not in name:
            return f"[{IPv6Address(name)}]"
        if _IP_NUMBER.fullmatch(name.rpartition(".")[2]):
            return str(IPv4Address(name))
    except ValueError:
        raise ValueError("must have a whole IP address or a name for its host") from None
    if not name.isascii():
        raise ValueError("must have its host in punycode (xn--…), as browsers send it")
    if not _HOST_NAME.fullmatch(name):
        raise ValueError("must have a host that browsers can send: letters, digits, - and dots")
    return name


def _origin_of(parts: SplitResult) -> str:
    """The origin spelt as in an Origin header: lower case, without the default port."""
    default = {"http": 80, "https": 443}[parts.scheme]
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{_host(parts.hostname or '')}{port}"


def _origin(text: str) -> str:
    if text == "null" or "*" in text:
        raise ValueError('must not be "null" or have a "*": name each portal, "https://host"')
    parts = _split(text)
    origin = _origin_of(parts)
    if "@" in parts.netloc:
        raise ValueError(f'must not have a user name; write "{origin}"')
    if text.partition("://")[2] != parts.netloc:
        raise ValueError(f'must end after the host and port, without even a "/"; write "{origin}"')
    return origin


def _public_url(text: str) -> str:
    if not text:
        return text
    parts = _split(text)
    origin = _origin_of(parts)
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError(f'must not have a user name, a "?" or a "#"; write "{origin}"')
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            'must not be plain http, where browsers refuse the cookie; write "https://…" '
            "(only localhost, 127.0.0.0/8 and [::1] may be http)"
        )
    path = parts.path.rstrip("/")
    if not _PREFIX.fullmatch(path) or re.search(r"/(?:\.{1,2}|-)(?:/|$)", path):
        raise ValueError('must have a path of letters, digits and "._~-" alone, as in "/docs"')
    return origin + path


def _shared_url(text: str) -> str:
    if text and (problem := url_problem(text)):
        raise ValueError(problem)
    return text


HttpUrl = Annotated[str, AfterValidator(_http_url), URL_WITH_SECRET]
VerifyUrl = Annotated[
    HttpUrl,
    spelt(".+", "is required: the address of the portal's verify API, http://… or https://…"),
]
Origin = Annotated[str, AfterValidator(_origin)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
SharedUrl = Annotated[
    str,
    spelt(
        "(?:(?:rediss?|unix)://[!-~]+)?",
        'must be "redis://…", "rediss://…" (with TLS), "unix://…", or "" for none',
    ),
    AfterValidator(_shared_url),
    URL_WITH_SECRET,
]
