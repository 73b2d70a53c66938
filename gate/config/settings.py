"""The settings: one frozen model for each section of config.toml, with its defaults.

What can be said of one value alone is said here and in spelling.py: type, bounds, spelling. What
keys mean together and what the file system holds is judged in soundness.py. All times are seconds.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gate.config.csp import CspSource
from gate.config.section import Section, shown_section
from gate.config.sign_in import SignInSettings
from gate.config.spelling import (
    CookieName,
    Glob,
    Headers,
    HttpToken,
    Key,
    ListOf,
    Network,
    Parameter,
    PathOrNone,
    Pointer,
    Scope,
    Seconds,
    SecondsOrZero,
    Secret,
    SentSecret,
    Share,
    SomePath,
    spelt,
)
from gate.config.urls import HttpUrl, Origin, PublicUrl, SharedUrl, VerifyUrl

_PRESETS: Final[dict[object, dict[str, object]]] = {  # the defaults that a preset changes
    "introspection": {"method": "POST", "token_in": "form", "active": "/active"},
}

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "HS256", "HS384", "HS512",
]  # fmt: skip


class ServerSettings(Section):
    """How the gate listens, and who stands in front of it. Port 0 takes any free port; with a
    `socket` there is no port."""

    host: Annotated[str, spelt(r"[!-~]+", "must be a host name or an IP address")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    socket: PathOrNone = None
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    public_url: PublicUrl = ""
    state_dir: SomePath = Path(".gate")
    trusted_proxies: ListOf[Network] = ()
    tls_certificate: PathOrNone = None
    tls_key: PathOrNone = None
    keepalive_timeout: Seconds = 75.0
    header_timeout: Seconds = 10.0
    send_timeout: Seconds = 30.0
    connections: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    connections_per_address: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    line_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 8190
    header_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 16_384
    shutdown_grace: SecondsOrZero = 10.0
    drain_delay: SecondsOrZero = 0.0
    fast_door: bool = True

    @property
    def prefix(self) -> str:
        """The path in `public_url`, without a slash at its end; "" where there is none."""
        return urlsplit(self.public_url).path


class SiteSettings(Section):
    """The built site. `memory_mib` 0 streams every file from disk."""

    root: SomePath = Path("site")
    public: ListOf[Glob] = ()
    memory_mib: Annotated[int, Field(ge=0, le=1 << 20)] = 256
    reload: bool = True
    csp: Literal["strict", "report-only", "off"] = "strict"
    csp_sources: ListOf[CspSource] = ()


class VerifySettings(Section):
    """The verify API. "" as `active` is the whole body, as `subject` or `expires` none.

    `preset` sets defaults, and keys that are given win. With "jwt" `url` is where the public keys
    are, and may be empty, because `[jwt] key_file` may hold them.
    """

    url: VerifyUrl = ""
    preset: Literal["boolean", "introspection", "jwt"] = "boolean"
    method: Literal["GET", "POST"] = "GET"
    token_in: Literal["query", "header", "form", "json"] = "query"
    token_name: HttpToken = "token"
    headers: Headers = Field(default_factory=dict)
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

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        preset = data.get("preset")
        whole = {**_PRESETS.get(preset if isinstance(preset, str) else "", {}), **data}
        if preset != "jwt":
            whole.setdefault("url", "")  # a default is not judged, a given value is
        elif whole.get("url") == "":
            del whole["url"]
        return whole


class IntrospectionSettings(Section):
    """Who the gate is at an introspection endpoint (RFC 7662), and what it wants of a token.

    HTTP Basic by `client_id` and `client_secret`, or a token for the endpoint in `bearer`.
    """

    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    bearer: SentSecret = SecretStr("")
    scope: Scope = ""


class JwtSettings(Section):
    """What makes a JWT good. HMAC (HS…) needs a secret in `key_file` and stands alone."""

    key_file: PathOrNone = None
    algorithms: Annotated[
        ListOf[Algorithm],
        AfterValidator(lambda names: tuple(dict.fromkeys(names))),
        Field(min_length=1),
    ] = ("RS256", "ES256", "EdDSA", "PS256")
    issuer: str = ""
    audience: str = ""
    leeway: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 30.0
    scope: Scope = ""


class CacheSettings(Section):
    """How long verdicts are remembered. `refresh_ahead` is a share of `ttl`; 0 is off."""

    ttl: Seconds = 300.0
    negative_ttl: SecondsOrZero = 5.0
    max_entries: Annotated[int, Field(ge=1, le=1_000_000_000)] = 100_000
    refresh_ahead: Share = 0.8
    stale_if_error: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 0.0
    shared_url: SharedUrl = ""


class SessionSettings(Section):
    """The encrypted cookie `__Host-` + `cookie_name`. No `key_file`: session.key in state_dir."""

    keys: ListOf[Key] = ()
    key_file: PathOrNone = None
    cookie_name: CookieName = "gate"
    idle_timeout: Seconds = 3600.0
    lifetime: Seconds = 43200.0
    recheck: bool = True
    expires: Pointer = ""


class IntakeSettings(Section):
    """The ways a token comes in. "" as `query` turns that way off."""

    query: Parameter = "token"
    form: bool = True
    bearer: bool = True


class FrameSettings(Section):
    """Who may frame the site: exact origins, spelt as browsers send them, each once.

    `cookieless` lets the embedding element go on where the browser keeps no cookie, `only` refuses
    pages outside frames, `embedder_policy` is for portals that send that header themselves.
    """

    allowed_origins: Annotated[
        ListOf[Origin], AfterValidator(lambda origins: tuple(dict.fromkeys(origins)))
    ] = ()
    cookieless: bool = False
    only: bool = False
    embedder_policy: Literal["", "require-corp", "credentialless"] = ""


class BrandSettings(Section):
    """What the gate's own pages look like. `contact` is a mail address, an https address or a text;
    `color` is "#rrggbb"."""

    name: Annotated[str, spelt(r"[^\0-\x1f\x7f]{0,80}", "must be at most 80 characters")] = ""
    logo: PathOrNone = None
    color: Annotated[
        str, spelt("(?:#[0-9A-Fa-f]{6})?", 'must be as "#2a4fc0", or "" for the gate\'s own')
    ] = ""
    contact: Annotated[str, spelt(r"[^\0-\x1f\x7f]{0,200}", "must be at most 200 characters")] = ""


class LimitSettings(Section):
    """How many failed attempts a minute are too many; 0 is no limit. A client is an address with a
    browser's name."""

    failures_per_client: Annotated[int, Field(ge=0, le=1_000_000)] = 30
    failures_per_address: Annotated[int, Field(ge=0, le=1_000_000)] = 300
    failures_in_all: Annotated[int, Field(ge=0, le=100_000_000)] = 6000


class RevokeSettings(Section):
    """The secret of `POST /-/revoke`. "" turns the route off."""

    secret: Secret = SecretStr("")


class MetricsSettings(Section):
    """Who may read /-/metrics: whoever shows `secret`, or reaches `host` and `port`, where nothing
    else is. Port 0 is none."""

    secret: Secret = SecretStr("")
    host: Annotated[str, spelt(r"[!-~]+", "must be a host name or an IP address")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0


class StatusSettings(Section):
    """The secret of /-/status. "" turns the page off."""

    secret: Secret = SecretStr("")


class TracingSettings(Section):
    """Whether spans are sent, by OpenTelemetry and where its own variables say."""

    enabled: bool = False


class LogSettings(Section):
    """What is logged, and how."""

    format: Literal["json", "console"] = "json"
    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    access: bool = True
    subject: Literal["hash", "plain", "off"] = "hash"


class Settings(Section):
    """All sections. The models judge each value alone; `gate.config.load` judges the rest."""

    server: ServerSettings = ServerSettings()
    site: SiteSettings = SiteSettings()
    verify: VerifySettings
    introspection: IntrospectionSettings = IntrospectionSettings()
    jwt: JwtSettings = JwtSettings()
    cache: CacheSettings = CacheSettings()
    session: SessionSettings = SessionSettings()
    intake: IntakeSettings = IntakeSettings()
    frame: FrameSettings = FrameSettings()
    brand: BrandSettings = BrandSettings()
    limits: LimitSettings = LimitSettings()
    sign_in: SignInSettings = SignInSettings()
    revoke: RevokeSettings = RevokeSettings()
    metrics: MetricsSettings = MetricsSettings()
    status: StatusSettings = StatusSettings()
    tracing: TracingSettings = TracingSettings()
    log: LogSettings = LogSettings()


def shown(settings: Settings) -> dict[str, dict[str, object]]:
    """Every setting by section and key, for display: secrets and URL userinfo are masked."""
    return {name: shown_section(getattr(settings, name)) for name in type(settings).model_fields}
