"""The settings: one frozen model for each section of config.toml, with its defaults.

What can be said of one value alone is said here and in spelling.py: type, bounds, spelling. What
keys mean together and what the file system holds is judged in soundness.py. All times are seconds.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import ErrorDetails

from gate.spelling import (
    MASK,
    URL_WITH_SECRET,
    CookieName,
    Glob,
    Headers,
    HttpToken,
    HttpUrl,
    Key,
    ListOf,
    Network,
    Origin,
    Parameter,
    PathOrNone,
    Pointer,
    PublicUrl,
    Seconds,
    SecondsOrZero,
    Share,
    SomePath,
    masked_url,
    spelt,
)

_SAID: Final = {  # pydantic's error types in plain words; its other messages will do
    "missing": "is required: the address of the portal's verify API, http://… or https://…",
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": 'must be a list, as ["…", "…"]',
    "dict_type": 'must be a table of texts, as { "X-Name" = "…" }',
}


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return _shown(self).items()


def _shown(section: BaseModel) -> dict[str, object]:
    fields = type(section).model_fields
    shown = {name: _plain(getattr(section, name)) for name in fields}
    urls = (name for name, field in fields.items() if URL_WITH_SECRET in field.metadata)
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

    host: Annotated[str, spelt(r"[!-~]+", "must be a host name or an IP address")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    public_url: PublicUrl = ""
    state_dir: SomePath = Path(".gate")
    trusted_proxies: ListOf[Network] = ()
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

    url: Annotated[HttpUrl, spelt(".+", "must be the address of the portal's verify API")]
    preset: Literal["boolean", "introspection", "jwt"] = "boolean"
    method: Literal["GET", "POST"] = "GET"
    token_in: Literal["query", "header", "form", "json"] = "query"
    token_name: HttpToken = "token"
    headers: Headers = {}
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
    shared_url: Annotated[str, URL_WITH_SECRET] = ""


class SessionSettings(_Section):
    """The encrypted cookie `__Host-` + `cookie_name`. No `key_file`: session.key in state_dir."""

    keys: ListOf[Key] = ()
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


def said(detail: ErrorDetails) -> str:
    """A pydantic error in words: which entry of a list or table it is, and never the value."""
    what = _SAID.get(detail["type"], detail["msg"].replace("Input should be", "must be"))
    what = str(detail.get("ctx", {}).get("error", what))
    match detail["loc"][1:]:
        case [int(index), *_]:
            return f"entry {index + 1} {what}"
        case [str(name)] if re.fullmatch(r"[\w-]+", name):
            return f'"{name}" {what}'
        case [_, *key]:
            return f"one of its {'names' if key else 'values'} {what}"
    return what
