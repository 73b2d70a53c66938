"""The spelling of single values: URLs, origins, paths, names, pointers, globs and keys.

The types at the end are what the settings are made of. No message repeats a value, because any
value may hold a secret.
"""

import json
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_origin
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

MASK: Final = "***"
LONGEST: Final = 400 * 86_400  # seconds; browsers keep no cookie longer (RFC 6265bis, 5.5)

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_IP_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label that makes a host an IPv4 address
URL_WITH_SECRET = object()  # marks a field whose URL may carry userinfo

IPNetwork = IPv4Network | IPv6Network


def masked_url(url: str) -> str:
    """`url` for display: userinfo and query are masked, also where it is no well-formed URL."""
    scheme, found, rest = url.partition("://")
    if not found:
        return MASK if url else ""
    userinfo, _, rest = rest.rpartition("@")
    rest, query, _ = rest.partition("?")
    return f"{scheme}://{f'{MASK}@' if userinfo else ''}{rest}{f'?{MASK}' if query else ''}"


def is_loopback(host: str) -> bool:
    """Whether `host` (an IPv6 address without brackets) is localhost, in 127.0.0.0/8 or ::1."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def key_problem(text: str) -> str | None:
    """What is wrong with `text` as a key (32 bytes in base64url, as Fernet wants), or None."""
    if re.fullmatch(r"[A-Za-z0-9_-]{43}=", text):
        return None
    wanted = "a key is 32 bytes in base64url (44 characters); `gate new-key` prints one"
    return f"{'short key' if len(text) < 44 else 'not a key'}: {wanted}"


def parsed(text: str, kind: Any) -> object:
    """`text` as a value of the type `kind`. Raises ValueError with words for the report."""
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("is not UTF-8 text")
    if get_origin(kind) is dict:
        return _json(text, 'must be a JSON table of texts, as {"X-Name": "…"}')
    if get_origin(kind) is tuple:
        if text.lstrip().startswith("["):
            return _json(text, 'must be a JSON list, as ["…", "…"], or separated by commas')
        return [entry.strip() for entry in text.split(",") if entry.strip()]
    if kind is bool:
        known = {"true": True, "1": True, "false": False, "0": False}
        if text.strip().lower() not in known:
            raise ValueError("must be true or false")
        return known[text.strip().lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"must be a {'whole ' if kind is int else ''}number") from None
    return text


def _json(text: str, wanted: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(wanted) from None


def spelt(pattern: str, wanted: str) -> AfterValidator:
    """A rule: the whole text matches `pattern`, else the message is `wanted`."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(wanted)
        return text

    return AfterValidator(check)


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"(?=.*\S)[^\0-\x1f\x7f]+", value):
        raise ValueError("must be a path: a text, not empty, without control characters")
    return Path(value)


def _network(value: object) -> IPNetwork:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        network = ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError('must be an IP address or network: "10.0.0.7" or "10.0.0.0/8"') from None
    if ip_address(str(value).partition("/")[0]) != network.network_address:
        raise ValueError(f'has bits set beyond the length of its network; write "{network}"')
    return network


def _key(secret: SecretStr) -> SecretStr:
    if problem := key_problem(secret.get_secret_value()):
        raise ValueError(problem)
    return secret


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("has one name twice: upper and lower case are the same in header names")
    for name, value in headers.items():
        if not value.get_secret_value().replace("\t", " ").isprintable():
            raise ValueError(f'"{name}": its value has line breaks or control characters')
    return headers


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
    return origin + parts.path.rstrip("/")


_T = TypeVar("_T")
ListOf = Annotated[tuple[_T, ...], Field(strict=False)]  # TOML has lists, settings have tuples
Seconds = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
SomePath = Annotated[Path, BeforeValidator(_path)]
PathOrNone = Annotated[
    Path | None, BeforeValidator(lambda value: None if value in ("", None) else _path(value))
]
HttpUrl = Annotated[str, AfterValidator(_http_url), URL_WITH_SECRET]
Origin = Annotated[str, AfterValidator(_origin)]
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110, 5.6.2
HttpToken = Annotated[str, spelt(f"{_TOKEN}+", "must be a name of letters, digits, - and _")]
CookieName = Annotated[
    str,
    spelt(
        f"(?!(?i:__host-|__secure-)){_TOKEN}{{1,64}}",
        "must be 1 to 64 letters, digits, - and _ (__Host- is put before it by the gate)",
    ),
]
Parameter = Annotated[
    str, spelt(r"[A-Za-z0-9._~-]{0,64}", 'must be at most 64 letters, digits, - . _ ~, or ""')
]
Pointer = Annotated[
    str,
    spelt(
        r"(?:/(?:[^~/]|~[01])*)*",
        'must be a JSON pointer (RFC 6901): "" or, with a "/" before each name, "/data/valid"; '
        'write "~" in a name as ~0 and "/" as ~1',
    ),
]
Glob = Annotated[
    str,
    spelt(
        r"/[^\0-\x1f\x7f]*", 'must start with "/", as "/assets/**", and have no control characters'
    ),
    spelt(r"(?!.*/\.\.?(/|$)).*", 'must not have "." or ".." between slashes'),
]
Key = Annotated[SecretStr, AfterValidator(_key)]
Headers = Annotated[dict[HttpToken, SecretStr], AfterValidator(_headers)]
Network = Annotated[IPNetwork, BeforeValidator(_network)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
