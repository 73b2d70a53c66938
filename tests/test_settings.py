"""Every rule about one value: what is taken, how it is normalised, and what is refused."""

import base64
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from gate.config.settings import (
    CacheSettings,
    FrameSettings,
    IntakeSettings,
    IntrospectionSettings,
    JwtSettings,
    LogSettings,
    MetricsSettings,
    RevokeSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    SiteSettings,
    StatusSettings,
    TracingSettings,
    VerifySettings,
    shown,
)
from gate.config.spelling import is_loopback, key_problem, masked_url

URL = "http://portal.example/api/valid"
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()

# The table of the contract.
DEFAULTS: dict[str, dict[str, object]] = {
    "server": {
        "host": "127.0.0.1", "port": 8080, "socket": "", "workers": 1, "public_url": "",
        "state_dir": ".gate", "trusted_proxies": [], "tls_certificate": "", "tls_key": "",
        "keepalive_timeout": 75, "header_timeout": 10, "send_timeout": 30, "connections": 20_000,
        "connections_per_address": 1000, "line_bytes": 8190, "header_bytes": 16_384,
        "shutdown_grace": 10, "drain_delay": 0, "fast_door": True,
    },
    "site": {
        "root": "site", "public": [], "memory_mib": 256, "reload": True, "csp": "strict",
        "csp_sources": [],
    },
    "verify": {
        "url": URL, "preset": "boolean", "method": "GET", "token_in": "query",
        "token_name": "token", "headers": {}, "active": "", "subject": "/sub", "expires": "/exp",
        "connect_timeout": 1, "timeout": 3, "max_in_flight": 64, "max_queue": 1000, "ca_file": "",
        "client_certificate": "", "client_key": "", "proxy": "",
    },
    "introspection": {"client_id": "", "client_secret": "", "bearer": "", "scope": ""},
    "jwt": {
        "key_file": "", "algorithms": ["RS256", "ES256", "EdDSA", "PS256"], "issuer": "",
        "audience": "", "leeway": 30, "scope": "",
    },
    "cache": {
        "ttl": 300, "negative_ttl": 5, "max_entries": 100000, "refresh_ahead": 0.8,
        "stale_if_error": 0, "shared_url": "",
    },
    "session": {
        "keys": [], "key_file": "", "cookie_name": "gate", "idle_timeout": 3600,
        "lifetime": 43200, "recheck": True, "expires": "",
    },
    "intake": {"query": "token", "form": True, "bearer": True},
    "frame": {
        "allowed_origins": [],
        "cookieless": False,
        "only": False,
        "embedder_policy": "",
    },
    "brand": {"name": "", "logo": "", "color": "", "contact": ""},
    "limits": {
        "failures_per_client": 30,
        "failures_per_address": 300,
        "failures_in_all": 6000,
    },
    "sign_in": {
        "portal_url": "",
        "qr": {
            "preset": "", "client_id": "", "client_secret": "", "scope": "", "device_url": "",
            "token_url": "", "start_url": "", "start_method": "POST", "poll_url": "",
            "poll_method": "GET", "poll_field": "", "transaction_pointer": "", "text_pointer": "",
            "result_pointer": "", "pending": [], "accepted": [], "refused": [], "ask_name": False,
            "name_field": "name", "headers": {}, "poll_interval": 5, "connect_timeout": 1,
            "timeout": 5, "ca_file": "", "client_certificate": "", "client_key": "", "proxy": "",
            "max_flows": 1000, "max_flows_per_address": 10, "flow_lifetime": 300,
        },
    },
    "revoke": {"secret": ""},
    "metrics": {"secret": "", "host": "127.0.0.1", "port": 0},
    "status": {"secret": ""},
    "tracing": {"enabled": False},
    "log": {"format": "json", "level": "info", "access": True, "subject": "hash"},
}  # fmt: skip


def taken(model: type[BaseModel], key: str, value: object) -> Any:
    return getattr(model.model_validate(_with(model, key, value)), key)


def refused(model: type[BaseModel], key: str, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(_with(model, key, value))
    assert {error["loc"][0] for error in caught.value.errors()} == {key}
    return str(caught.value)


def _with(model: type[BaseModel], key: str, value: object) -> dict[str, object]:
    return ({"url": URL} if model is VerifySettings else {}) | {key: value}


def test_defaults_are_those_of_the_contract() -> None:
    assert shown(Settings(verify=VerifySettings(url=URL))) == DEFAULTS


def test_settings_are_made_of_sections_in_one_line(tmp_path: Path) -> None:
    settings = Settings(verify=VerifySettings(url=URL), site=SiteSettings(root=tmp_path))
    assert settings.site.root == tmp_path
    assert settings.cache == CacheSettings()


def test_settings_are_frozen() -> None:
    server: Any = Settings(verify=VerifySettings(url=URL)).server
    with pytest.raises(ValidationError):
        server.port = 1


def test_unknown_keys_are_refused() -> None:
    refused(ServerSettings, "prot", 1)


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        (ServerSettings, "port", "8080"),
        (ServerSettings, "port", True),
        (ServerSettings, "port", 80.0),
        (ServerSettings, "port", -1),
        (ServerSettings, "port", 65536),
        (ServerSettings, "workers", 0),
        (ServerSettings, "host", ""),
        (ServerSettings, "host", "a b"),
        (ServerSettings, "header_timeout", 0),
        (ServerSettings, "header_timeout", "10"),
        (ServerSettings, "drain_delay", -1),
        (ServerSettings, "tls_key", 1),
        (ServerSettings, "state_dir", ""),
        (SiteSettings, "root", ""),
        (SiteSettings, "root", " "),
        (SiteSettings, "root", "a\0b"),
        (SiteSettings, "memory_mib", -1),
        (SiteSettings, "reload", 1),
        (SiteSettings, "csp", "strict-dynamic"),
        (SiteSettings, "csp", False),
        (SiteSettings, "csp_sources", "img-src https://a.example"),
        (SiteSettings, "csp_sources", {"img-src": ["https://a.example"]}),
        (SiteSettings, "public", "/assets/**"),
        (SiteSettings, "public", {"/a": 1}),
        (VerifySettings, "preset", "oidc"),
        (VerifySettings, "method", "get"),
        (VerifySettings, "method", "PUT"),
        (VerifySettings, "token_in", "cookie"),
        (VerifySettings, "timeout", float("nan")),
        (VerifySettings, "timeout", float("inf")),
        (VerifySettings, "timeout", 10**400),
        (VerifySettings, "max_in_flight", 0),
        (CacheSettings, "ttl", 0),
        (CacheSettings, "ttl", True),
        (CacheSettings, "refresh_ahead", 1.01),
        (CacheSettings, "refresh_ahead", -0.1),
        (CacheSettings, "max_entries", 0),
        (CacheSettings, "stale_if_error", 300.5),
        (CacheSettings, "shared_url", "http://redis"),
        (CacheSettings, "shared_url", "redis:6379"),
        (CacheSettings, "shared_url", "redis://:p@redis:99999"),
        (CacheSettings, "shared_url", "redis://redis/name"),
        (CacheSettings, "shared_url", "rediss://redis?ssl_cert_reqs=none"),
        (IntrospectionSettings, "bearer", "a b"),
        (IntrospectionSettings, "bearer", "ü"),
        (IntrospectionSettings, "bearer", "a\r\nX-Admin: 1"),
        (IntrospectionSettings, "scope", "a  b"),
        (IntrospectionSettings, "scope", ["a"]),
        (JwtSettings, "scope", 'a"b'),
        (JwtSettings, "algorithms", []),
        (JwtSettings, "algorithms", ["none"]),
        (JwtSettings, "algorithms", ["RS256", "none"]),
        (JwtSettings, "algorithms", ["rs256"]),
        (JwtSettings, "algorithms", ["ES256K"]),
        (JwtSettings, "algorithms", "RS256"),
        (JwtSettings, "leeway", -1),
        (JwtSettings, "leeway", 301),
        (JwtSettings, "leeway", float("nan")),
        (MetricsSettings, "secret", "x" * 15),
        (MetricsSettings, "port", 65536),
        (StatusSettings, "secret", "x" * 15),
        (TracingSettings, "enabled", "true"),
        (RevokeSettings, "secret", "x" * 15),
        (RevokeSettings, "secret", "x" * 15 + " x"),
        (RevokeSettings, "secret", "x" * 16 + "ü"),
        (SessionSettings, "lifetime", 0),
        (SessionSettings, "lifetime", 401 * 86400),
        (SessionSettings, "recheck", "true"),
        (LogSettings, "format", "text"),
        (LogSettings, "level", "INFO"),
        (LogSettings, "subject", "none"),
    ],
)
def test_wrong_types_and_values_out_of_bounds_are_refused(
    model: type[BaseModel], key: str, value: object
) -> None:
    refused(model, key, value)


@pytest.mark.parametrize(
    ("model", "key", "value"),
    [
        (ServerSettings, "port", 0),
        (ServerSettings, "host", "::"),
        (ServerSettings, "drain_delay", 0),
        (SiteSettings, "memory_mib", 0),
        (VerifySettings, "max_queue", 0),
        (VerifySettings, "timeout", 0.25),
        (CacheSettings, "refresh_ahead", 0),
        (CacheSettings, "refresh_ahead", 1),
        (CacheSettings, "negative_ttl", 0),
        (CacheSettings, "stale_if_error", 300),
        (CacheSettings, "shared_url", "rediss://:pw@redis:6379/0"),
        (JwtSettings, "leeway", 0),
        (JwtSettings, "leeway", 300),
        (IntrospectionSettings, "scope", "docs:read urn:x"),
        (SessionSettings, "idle_timeout", 10**6),
        (IntakeSettings, "query", ""),
    ],
)
def test_bounds_themselves_are_taken(model: type[BaseModel], key: str, value: object) -> None:
    assert taken(model, key, value) == value


def test_a_path_may_be_text_and_an_empty_one_is_none() -> None:
    assert taken(ServerSettings, "tls_key", "a b/ü.pem") == Path("a b/ü.pem")
    assert taken(ServerSettings, "tls_key", "") is None
    assert taken(SiteSettings, "root", "x") == Path("x")


@pytest.mark.parametrize(
    ("given_origin", "origin"),
    [
        ("https://portal.example", "https://portal.example"),
        ("HTTPS://Portal.Example:443", "https://portal.example"),
        ("http://portal.example:80", "http://portal.example"),
        ("http://portal.example:443", "http://portal.example:443"),
        ("http://portal_1:3000", "http://portal_1:3000"),
        ("http://portal.example:0", "http://portal.example:0"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://[0:0::1]:8081", "http://[::1]:8081"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_spelt_as_browsers_send_it(given_origin: str, origin: str) -> None:
    assert taken(FrameSettings, "allowed_origins", [given_origin]) == (origin,)


@pytest.mark.parametrize(
    ("origin", "cure"),
    [
        ("*", "name each portal"),
        ("null", "name each portal"),
        ("https://*.portal.example", "name each portal"),
        ("https://portal.example/", 'write "https://portal.example"'),
        ("https://Portal.example:443/docs", 'write "https://portal.example"'),
        ("https://portal.example?", 'write "https://portal.example"'),
        ("https://portal.example#", 'write "https://portal.example"'),
        ("https://me:s3cret@portal.example", 'write "https://portal.example"'),
        ("https://bücher.example", "punycode"),
        ("portal.example", "http:// or https://"),
        ("//portal.example", "http:// or https://"),
        ("https:portal.example", "http:// or https://"),
        ("ftp://portal.example", "http:// or https://"),
        ("https://", "http:// or https://"),
        ("", "http:// or https://"),
        ("https://portal.example:99999", "port"),
        ("https://portal.example:x", "port"),
        ("https://[::1", "host"),
        ("https://[fe80::1%25eth0]", "host"),
        ("https://1.2.3", "IP address"),
        ("https://0x7f.1", "IP address"),
        ("https://portal..example", "host"),
        ("https://portal.example;script-src", "host"),
        ("https://portal.example, https://other.example", "spaces"),
        ("https://portal.example\n", "control characters"),
        ("https:\\\\portal.example", "backslashes"),
    ],
)
def test_what_is_no_exact_origin_is_refused_with_the_cure(origin: str, cure: str) -> None:
    message = refused(FrameSettings, "allowed_origins", ["https://good.example", origin])
    assert cure in message
    assert "s3cret" not in message


def test_an_origin_given_twice_counts_once_and_order_stays() -> None:
    origins = ["https://b.example", "https://a.example", "https://B.example:443"]
    expected = ("https://b.example", "https://a.example")
    assert taken(FrameSettings, "allowed_origins", origins) == expected


@hypothesis_settings(deadline=None)
@given(st.text(max_size=40))
def test_whatever_passes_as_an_origin_can_stand_in_a_header(text: str) -> None:
    try:
        (origin,) = FrameSettings(allowed_origins=(f"https://{text}",)).allowed_origins
    except ValidationError:
        return
    assert origin.isascii()
    assert not set(origin) & set(" ;,'\"*/@?#%\\") - {"/"}
    assert origin.count("/") == 2
    assert FrameSettings(allowed_origins=(origin,)).allowed_origins == (origin,)


@pytest.mark.parametrize(
    "entry",
    [
        "script-src https://cdn.example",
        "script-src https://cdn.example/lib/ *.example.com https: cdn:8443 https://a:*",
        "script-src 'unsafe-eval' 'wasm-unsafe-eval' 'inline-speculation-rules' blob:",
        "script-src 'sha256-jzgBGA4UWFFmpOBq0JpdsySukE1FrEN5bUpoK8Z29fY='",
        "img-src * data: blob:",
        "connect-src wss://live.example",
        "object-src 'self'",
        "form-action https://forms.example",
    ],
)
def test_a_source_of_the_policy_is_spelt_as_in_the_header(entry: str) -> None:
    assert taken(SiteSettings, "csp_sources", [entry]) == (entry,)


@pytest.mark.parametrize(
    ("entry", "cure"),
    [
        ("", "must begin with one of script-src"),
        ("https://cdn.example", "must begin with one of script-src"),
        ("Script-src https://cdn.example", "must begin with one of script-src"),
        ("default-src https://cdn.example", "must begin with one of"),
        ("frame-ancestors https://cdn.example", "must begin with one of"),
        ("script-src-elem https://cdn.example", "must begin with one of"),
        ("img-src", "must have a source"),
        ("img-src  https://a.example", "one space between"),
        ("img-src https://a.example ", "one space between"),
        ("img-src https://a.example; script-src *", "sources as in the header"),
        ("img-src https://a.example/x;y", "sources as in the header"),
        ("img-src https://a.example,https://b.example", "sources as in the header"),
        ("img-src https://a.example\r\nX: y", "sources as in the header"),
        ("img-src https://a.example\n", "sources as in the header"),
        ("img-src https://bücher.example", "sources as in the header"),
        ("img-src https://a.*", "sources as in the header"),
        ("img-src 'nonce-abc'", "sources as in the header"),
        ("img-src 'none'", "sources as in the header"),
        ("script-src 'unsafe-inline'", "must not have 'unsafe-inline'"),
        ("script-src 'strict-dynamic'", "must not have 'strict-dynamic'"),
        ("script-src 'unsafe-hashes'", "must not have 'unsafe-hashes'"),
        ("script-src data:", "must not have data:"),
        ("worker-src DATA:", "must not have DATA:"),
        ("script-src unsafe-eval", "single quotes"),
        ("img-src self", "single quotes"),
    ],
)
def test_what_would_weaken_or_break_the_policy_is_refused_with_the_cure(
    entry: str, cure: str
) -> None:
    assert cure in refused(SiteSettings, "csp_sources", ["img-src https://good.example", entry])


@hypothesis_settings(deadline=None)
@given(st.text(max_size=40))
def test_whatever_passes_as_a_source_is_one_word_of_one_directive(text: str) -> None:
    try:
        (entry,) = SiteSettings(csp_sources=(f"img-src {text}",)).csp_sources
    except ValidationError:
        return
    assert entry.isascii()
    assert entry.isprintable()
    assert not set(entry) & set(';,"\\')


@pytest.mark.parametrize(
    ("public_url", "normal"),
    [
        ("", ""),
        ("https://Docs.example/", "https://docs.example"),
        ("https://docs.example:443", "https://docs.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://LOCALHOST/", "http://localhost"),
        ("http://127.8.9.1:8080", "http://127.8.9.1:8080"),
        ("http://[::1]", "http://[::1]"),
        ("https://docs.example/handbook/", "https://docs.example/handbook"),
    ],
)
def test_public_url_is_normalised(public_url: str, normal: str) -> None:
    assert taken(ServerSettings, "public_url", public_url) == normal


@pytest.mark.parametrize(
    "public_url",
    [
        "http://docs.example",
        "http://localhost.example",
        "http://docs.localhost",
        "http://10.0.0.1",
        "http://0.0.0.0:8080",
        "https://me@docs.example",
        "https://docs.example?",
        "https://docs.example/#a",
        "docs.example",
        "ws://docs.example",
    ],
)
def test_public_url_is_https_or_loopback_and_nothing_more(public_url: str) -> None:
    refused(ServerSettings, "public_url", public_url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.5.5.5", True), ("::1", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "docs.example", "")],
)
def test_loopback_is_localhost_and_the_loopback_addresses(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_trusted_proxies_are_addresses_and_networks() -> None:
    proxies = ["10.0.0.7", "10.0.0.0/8", "fd00::/8", "::1"]
    networks = taken(ServerSettings, "trusted_proxies", proxies)
    assert networks == (
        IPv4Network("10.0.0.7/32"),
        IPv4Network("10.0.0.0/8"),
        IPv6Network("fd00::/8"),
        IPv6Network("::1/128"),
    )
    server = ServerSettings(trusted_proxies=networks)
    assert (
        shown(Settings(server=server, verify=VerifySettings(url=URL)))["server"]["trusted_proxies"]
        == proxies
    )


@pytest.mark.parametrize("proxy", ["proxy.example", "", "10.0.0.0/33", "10.0.0.300", 7, True])
def test_other_trusted_proxies_are_refused(proxy: object) -> None:
    refused(ServerSettings, "trusted_proxies", [proxy])


def test_a_network_with_host_bits_is_refused_with_the_network_meant() -> None:
    assert 'write "10.0.0.0/8"' in refused(ServerSettings, "trusted_proxies", ["10.0.0.7/8"])


@pytest.mark.parametrize(
    "url",
    ["", "portal.example/api", "ftp://portal.example", "http://", "http:///api", "http://a:b/",
     "http://a b/", "http://a/\n", "https://a/#b", "http://[::1/", "file:///etc/passwd"],
)  # fmt: skip
def test_the_verify_url_is_http_with_a_host(url: str) -> None:
    refused(VerifySettings, "url", url)


@pytest.mark.parametrize("preset", ["boolean", "introspection"])
def test_the_verify_url_is_required(preset: str) -> None:
    with pytest.raises(ValidationError, match="is required"):
        VerifySettings.model_validate({"preset": preset})
    with pytest.raises(ValidationError, match="is required"):
        VerifySettings()


def test_the_verify_url_may_be_empty_where_a_key_file_may_hold_the_keys() -> None:
    assert VerifySettings(preset="jwt").url == VerifySettings(preset="jwt", url="").url == ""
    with pytest.raises(ValidationError):
        VerifySettings(preset="jwt", url="portal.example")


def test_a_preset_sets_defaults_and_given_keys_win() -> None:
    verify = VerifySettings(preset="introspection", url=URL)
    given_keys = ("method", "token_in", "token_name", "active", "subject", "expires")
    assert [getattr(verify, key) for key in given_keys] == [
        "POST", "form", "token", "/active", "/sub", "/exp",
    ]  # fmt: skip
    verify = VerifySettings(
        preset="introspection", url=URL, method="GET", token_in="query", active="", subject="/name"
    )
    assert [getattr(verify, key) for key in given_keys] == [
        "GET", "query", "token", "", "/name", "/exp",
    ]  # fmt: skip


def test_a_preset_leaves_what_it_was_given_as_it_was() -> None:
    given_keys: dict[str, object] = {"preset": "introspection", "url": URL}
    VerifySettings.model_validate(given_keys)
    assert given_keys == {"preset": "introspection", "url": URL}


@pytest.mark.parametrize("preset", [["jwt"], {"jwt": 1}, None, 7, "JWT"])
def test_what_is_no_preset_is_refused_and_no_traceback(preset: object) -> None:
    refused(VerifySettings, "preset", preset)


def test_a_short_secret_is_called_so_and_an_empty_one_is_none() -> None:
    assert "short secret" in refused(RevokeSettings, "secret", "x" * 15)
    for text in ("", "x" * 16):
        assert taken(RevokeSettings, "secret", text) == SecretStr(text)


@pytest.mark.parametrize("url", ["http://portal_api:80/v?a=1", "https://me:pw@[::1]:9/ü"])
def test_the_verify_url_stays_as_it_was_written(url: str) -> None:
    assert taken(VerifySettings, "url", url) == url


@pytest.mark.parametrize("key", ["active", "subject", "expires"])
def test_json_pointers_follow_rfc_6901(key: str) -> None:
    for pointer in ("", "/", "/a", "/a/0/b", "/a~1b", "/m~0n", "/ü x", "//"):
        assert taken(VerifySettings, key, pointer) == pointer
    for pointer in ("a", "#/a", "/a~", "/a~2", "$.a"):
        assert "JSON pointer" in refused(VerifySettings, key, pointer)
    refused(SessionSettings, "expires", "exp")


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "ü", "a=b"])
def test_token_name_and_header_names_are_http_tokens(name: str) -> None:
    refused(VerifySettings, "token_name", name)
    refused(VerifySettings, "headers", {name: "x"})


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\n", "a\0", 7, None])
def test_header_values_are_one_line_of_text(value: object) -> None:
    refused(VerifySettings, "headers", {"X-Key": value})


def test_a_header_is_named_once() -> None:
    refused(VerifySettings, "headers", {"X-Key": "a", "x-key": "b"})
    headers = taken(VerifySettings, "headers", {"X-Key": "s3cret", "Accept": ""})
    assert headers == {"X-Key": SecretStr("s3cret"), "Accept": SecretStr("")}


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "__Host-gate", "__host-x", "x" * 65])
def test_the_cookie_name_is_a_short_token_without_a_prefix(name: str) -> None:
    refused(SessionSettings, "cookie_name", name)


@pytest.mark.parametrize("name", ["a b", "a&b", "a=b", "ü", "a[]", "x" * 65])
def test_the_intake_parameter_needs_no_encoding(name: str) -> None:
    refused(IntakeSettings, "query", name)


@pytest.mark.parametrize("glob", ["/", "/**", "/assets/*.css", "/.well-known/*", "/a..b", "/-x"])
def test_globs_start_with_a_slash(glob: str) -> None:
    assert taken(SiteSettings, "public", [glob]) == (glob,)


@pytest.mark.parametrize("glob", ["", "assets/**", "**", "/../x", "/a/..", "/./a", "/a\n", "/a\0"])
def test_globs_without_a_slash_or_with_dots_are_refused(glob: str) -> None:
    refused(SiteSettings, "public", [glob])


@pytest.mark.parametrize("text", ["", "abc", KEY[:-1], base64.b64encode(b"x" * 16).decode()])
def test_a_short_key_is_called_so(text: str) -> None:
    assert "short key" in refused(SessionSettings, "keys", [KEY, text])


@pytest.mark.parametrize("text", ["=" * 44, "+" * 43 + "=", KEY + "A", KEY[:-1] + "A", f"{KEY}\n"])
def test_what_is_no_key_is_refused(text: str) -> None:
    message = refused(SessionSettings, "keys", [text])
    assert "not a key" in message
    assert text not in message


@hypothesis_settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_in_base64url_are_a_key(raw: bytes) -> None:
    assert key_problem(base64.urlsafe_b64encode(raw).decode()) is None


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("", ""),
        ("https://h:1/p", "https://h:1/p"),
        ("https://me:s3cret@h/p?k=s3cret", "https://***@h/p?***"),
        ("redis://:s3cret@h:6379/0", "redis://***@h:6379/0"),
        ("redis://u:s3/cret@s3cret@h", "redis://***@h"),
        ("u:s3cret@h", "***"),
    ],
)
def test_urls_are_masked_for_display(url: str, masked: str) -> None:
    assert masked_url(url) == masked


SECRET = "s3cr3t-Zx9"


def secretive() -> Settings:
    verify = VerifySettings(
        url=f"https://user:{SECRET}@h/?key={SECRET}",
        proxy=f"http://user:{SECRET}@proxy:3128",
        headers={"X-Key": SecretStr(SECRET)},
    )
    hidden = SecretStr(SECRET * 2)
    return Settings(
        verify=verify,
        introspection=IntrospectionSettings(client_secret=hidden, bearer=hidden),
        cache=CacheSettings(shared_url=f"redis://:{SECRET}@redis:6379/0"),
        session=SessionSettings(keys=(SecretStr(KEY),)),
        revoke=RevokeSettings(secret=hidden),
        metrics=MetricsSettings(secret=hidden),
        status=StatusSettings(secret=hidden),
    )


def test_no_secret_is_in_repr_str_or_display() -> None:
    settings = secretive()
    for text in (repr(settings), str(settings), repr(settings.verify), str(settings.cache)):
        assert SECRET not in text
        assert KEY not in text
    assert SECRET not in str(shown(settings))
    assert shown(settings)["verify"]["headers"] == {"X-Key": "***"}
    assert shown(settings)["session"]["keys"] == ["***"]
    assert shown(settings)["revoke"] == shown(settings)["status"] == {"secret": "***"}
    assert shown(settings)["metrics"]["secret"] == "***"
    assert shown(settings)["introspection"]["bearer"] == "***"


def test_no_secret_is_in_a_models_own_error() -> None:
    for key, value in (("url", f"http://u:{SECRET}@"), ("headers", {"A": f"{SECRET}\n"})):
        assert SECRET not in refused(VerifySettings, key, value)
    assert SECRET not in refused(SessionSettings, "keys", [SECRET])


@hypothesis_settings(deadline=None)
@given(st.ip_addresses(), st.integers(0, 32))
def test_every_network_is_shown_so_that_it_can_be_given_again(address: Any, bits: int) -> None:
    network = str(ip_network(f"{address}/{bits}", strict=False))
    verify = VerifySettings(url=URL)
    once = shown(Settings(server=_server(network), verify=verify))["server"]["trusted_proxies"]
    assert isinstance(once, list)
    assert _server(once[0]).trusted_proxies == _server(network).trusted_proxies


def _server(proxy: str) -> ServerSettings:
    return ServerSettings.model_validate({"trusted_proxies": [proxy]})
