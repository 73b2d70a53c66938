"""The spelling of single values: paths, names, pointers, globs, keys and secrets.

The types at the end are what the settings are made of. No message repeats a value, because any
value may hold a secret.
"""

import json
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

MASK: Final = "***"
LONGEST: Final = 400 * 86_400  # seconds; browsers keep no cookie longer (RFC 6265bis, 5.5)
SHORTEST_SECRET: Final = 16  # characters that somebody may guess at over the network

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


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and len(text) < SHORTEST_SECRET:
        raise ValueError(f'short secret: at least {SHORTEST_SECRET} characters, or "" for none')
    return secret


def _sent(secret: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]*", secret.get_secret_value()):
        raise ValueError("must have only letters, digits and signs of ASCII, and no spaces")
    return secret


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("has one name twice: upper and lower case are the same in header names")
    for name, value in headers.items():
        if not value.get_secret_value().replace("\t", " ").isprintable():
            raise ValueError(f'"{name}": its value has line breaks or control characters')
    return headers


_T = TypeVar("_T")
ListOf = Annotated[tuple[_T, ...], Field(strict=False)]  # TOML has lists, settings have tuples
Seconds = Annotated[float, Field(gt=0, le=LONGEST, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
SomePath = Annotated[Path, BeforeValidator(_path)]
PathOrNone = Annotated[
    Path | None, BeforeValidator(lambda value: None if value in ("", None) else _path(value))
]
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
SentSecret = Annotated[SecretStr, AfterValidator(_sent)]  # it goes into a header
Secret = Annotated[SentSecret, AfterValidator(_secret)]
_SCOPE = r"[!#-\[\]-~]+"  # RFC 6749, 3.3
Scope = Annotated[
    str,
    spelt(
        f"(?:{_SCOPE}(?: {_SCOPE})*)?", 'must be names with one space between them, or "" for none'
    ),
]
Headers = Annotated[dict[HttpToken, SecretStr], AfterValidator(_headers)]
Network = Annotated[IPNetwork, BeforeValidator(_network)]
