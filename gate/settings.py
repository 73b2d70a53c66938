"""The settings: one frozen model for each section of config.toml, with its defaults.

What can be said of one value alone lives here: type, bounds, spelling. What keys mean together
and what the file system holds is judged in config.py, which also finds the values. All times
are seconds. No message repeats a value, because any value may hold a secret.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

MASK: Final = "***"
LONGEST: Final = 400 * 86_400  # seconds; browsers keep no cookie longer (RFC 6265bis, 5.5)

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_IP_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label that makes a host an IPv4 address
_URL_WITH_SECRET = object()  # marks a field whose URL may carry userinfo

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


def _spelt(pattern: str, wanted: str) -> AfterValidator:
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
HttpUrl = Annotated[str, AfterValidator(_http_url), _URL_WITH_SECRET]
Origin = Annotated[str, AfterValidator(_origin)]
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"  # RFC 9110, 5.6.2
HttpToken = Annotated[str, _spelt(f"{_TOKEN}+", "must be a name of letters, digits, - and _")]
CookieName = Annotated[
    str,
    _spelt(
        f"(?!(?i:__host-|__secure-)){_TOKEN}{{1,64}}",
        "must be 1 to 64 letters, digits, - and _ (__Host- is put before it by the gate)",
    ),
]
Parameter = Annotated[
    str, _spelt(r"[A-Za-z0-9._~-]{0,64}", 'must be at most 64 letters, digits, - . _ ~, or ""')
]
Pointer = Annotated[
    str,
    _spelt(
        r"(?:/(?:[^~/]|~[01])*)*",
        'must be a JSON pointer (RFC 6901): "" or, with a "/" before each name, "/data/valid"; '
        'write "~" in a name as ~0 and "/" as ~1',
    ),
]
Glob = Annotated[
    str,
    _spelt(
        r"/[^\0-\x1f\x7f]*", 'must start with "/", as "/assets/**", and have no control characters'
    ),
    _spelt(r"(?!.*/\.\.?(/|$)).*", 'must not have "." or ".." between slashes'),
]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return _shown(self).items()


def _shown(section: BaseModel) -> dict[str, object]:
    fields = type(section).model_fields
    shown = {name: _plain(getattr(section, name)) for name in fields}
    urls = (name for name, field in fields.items() if _URL_WITH_SECRET in field.metadata)
    return shown | {name: masked_url(getattr(section, name)) for name in urls}


def _plain(value: object) -> object:
    match value:
        case SecretStr():
            return MASK
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case IPv4Network() | IPv6Network() if value.prefixlen == value.max_prefixlen:
            return str(value.network_address)
        case Path() | IPv4Network() | IPv6Network():
            return str(value)
    return "" if value is None else value


class ServerSettings(_Section):
    """How the gate listens, and who stands in front of it. Port 0 takes any free port."""

    host: Annotated[str, _spelt(r"[!-~]+", "must be a host name or an IP address")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    public_url: Annotated[str, AfterValidator(_public_url)] = ""
    state_dir: SomePath = Path(".gate")
    trusted_proxies: ListOf[Annotated[IPNetwork, BeforeValidator(_network)]] = ()
    tls_certificate: PathOrNone = None
    tls_key: PathOrNone = None
    keepalive_timeout: Seconds = 75.0
    header_timeout: Seconds = 10.0
    shutdown_grace: SecondsOrZero = 10.0
    drain_delay: SecondsOrZero = 0.0


class SiteSettings(_Section):
    """The built site. `memory_mib` 0 streams every file from disk."""

    root: SomePath = Path("site")
    public: ListOf[Glob] = ()
    memory_mib: Annotated[int, Field(ge=0, le=1 << 20)] = 256
    reload: bool = True


class VerifySettings(_Section):
    """The verify API. "" as `active` is the whole body, as `subject` or `expires` none."""

    url: Annotated[HttpUrl, _spelt(".+", "must be the address of the portal's verify API")]
    preset: Literal["boolean", "introspection", "jwt"] = "boolean"
    method: Literal["GET", "POST"] = "GET"
    token_in: Literal["query", "header", "form", "json"] = "query"
    token_name: HttpToken = "token"
    headers: Annotated[dict[HttpToken, SecretStr], AfterValidator(_headers)] = {}
    active: Pointer = ""
    subject: Pointer = "/sub"
    expires: Pointer = "/exp"
    connect_timeout: Seconds = 1.0
    timeout: Seconds = 3.0
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    max_queue: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    ca_file: PathOrNone = None
    client_certificate: PathOrNone = None
    client_key: PathOrNone = None
    proxy: HttpUrl = ""


class CacheSettings(_Section):
    """How long verdicts are remembered. `refresh_ahead` is a share of `ttl`; 0 is off."""

    ttl: Seconds = 300.0
    negative_ttl: SecondsOrZero = 5.0
    max_entries: Annotated[int, Field(ge=1, le=1_000_000_000)] = 100_000
    refresh_ahead: Share = 0.8
    stale_if_error: SecondsOrZero = 0.0
    shared_url: Annotated[str, _URL_WITH_SECRET] = ""


class SessionSettings(_Section):
    """The encrypted cookie `__Host-` + `cookie_name`. No `key_file`: session.key in state_dir."""

    keys: ListOf[Annotated[SecretStr, AfterValidator(_key)]] = ()
    key_file: PathOrNone = None
    cookie_name: CookieName = "gate"
    idle_timeout: Seconds = 3600.0
    lifetime: Seconds = 43200.0
    recheck: bool = True
    expires: Pointer = ""


class IntakeSettings(_Section):
    """The ways a token comes in. "" as `query` turns that way off."""

    query: Parameter = "token"
    form: bool = True
    bearer: bool = True


class FrameSettings(_Section):
    """Who may frame the site: exact origins, spelt as browsers send them, each once."""

    allowed_origins: Annotated[
        ListOf[Origin], AfterValidator(lambda origins: tuple(dict.fromkeys(origins)))
    ] = ()
    cookieless: bool = False


class LogSettings(_Section):
    """What is logged, and how."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    access: bool = True
    subject: Literal["hash", "plain", "off"] = "hash"


class Settings(_Section):
    """All sections. The models judge each value alone; `gate.config.load` judges the rest."""

    server: ServerSettings = ServerSettings()
    site: SiteSettings = SiteSettings()
    verify: VerifySettings
    cache: CacheSettings = CacheSettings()
    session: SessionSettings = SessionSettings()
    intake: IntakeSettings = IntakeSettings()
    frame: FrameSettings = FrameSettings()
    log: LogSettings = LogSettings()


def shown(settings: Settings) -> dict[str, dict[str, object]]:
    """Every setting by section and key, for display: secrets and URL userinfo are masked."""
    return {name: _shown(getattr(settings, name)) for name in type(settings).model_fields}
