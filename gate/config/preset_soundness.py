"""Whether `[verify]` and the sections of its presets make sense together.

Nothing that is written may be ignored in silence: a scope that nobody checks, or a method that no
request has, is told. Looks at the key file, and writes nothing.
"""

from collections.abc import Iterator
from pathlib import Path

from gate.config.findings import Finding, file_problem, open_to_all
from gate.config.settings import JwtSettings, Settings
from gate.verify.jose.keys import MAX_JWKS_BYTES, UnusableKey, is_hmac, of_file

# keys of [verify] that say how a token is put to an API: a JWT is put to none
_ASKING = ("method", "token_in", "token_name", "active")
# and those that say how an API is reached: with a key file none is
_REACHING = ("url", "headers", "ca_file", "client_certificate", "client_key", "proxy")


def preset_findings(settings: Settings) -> Iterator[Finding]:
    """Everything that is wrong with the preset, its section, and the sections of the others."""
    for preset in ("introspection", "jwt"):
        if settings.verify.preset != preset:
            yield from _unused(settings, preset)
    if settings.verify.preset == "introspection":
        yield from _introspection(settings)
    if settings.verify.preset == "jwt":
        yield from _jwt_asks_nobody(settings)
        yield from _jwt(settings.jwt)


def _unused(settings: Settings, preset: str) -> Iterator[Finding]:
    section = getattr(settings, preset)
    for key, info in type(section).model_fields.items():
        if getattr(section, key) != info.default:
            what = f'has a meaning with [verify] preset = "{preset}" alone; set that, or remove it'
            yield what, f"{preset}.{key}", "verify.preset"


def _introspection(settings: Settings) -> Iterator[Finding]:
    verify, client = settings.verify, settings.introspection
    has_secret, has_bearer = (
        bool(secret.get_secret_value()) for secret in (client.client_secret, client.bearer)
    )
    names = ("introspection.client_id", "introspection.client_secret", "introspection.bearer")
    if has_bearer and (client.client_id or has_secret):
        yield "stands beside client_id and client_secret; use one or the other", *reversed(names)
    elif bool(client.client_id) != has_secret:
        what = "is no use alone: set both client_id and client_secret, or none"
        yield what, *(names[:2] if client.client_id else reversed(names[:2]))
    if not (client.client_id or has_bearer):
        return
    ours = "which [introspection] client_id or bearer fill already; use one or the other"
    if "authorization" in (name.lower() for name in verify.headers):
        yield f'has "Authorization", {ours}', "verify.headers", *names
    if verify.token_in == "header" and verify.token_name.lower() == "authorization":
        yield f'is "Authorization", {ours}', "verify.token_name", "verify.token_in", *names


def _jwt_asks_nobody(settings: Settings) -> Iterator[Finding]:
    verify = settings.verify
    for key in _ASKING:
        if key in verify.model_fields_set:
            what = 'has no meaning with preset = "jwt", where no API is asked; remove it'
            yield what, f"verify.{key}", "verify.preset"
    if settings.jwt.key_file:
        for key in _REACHING:
            if getattr(verify, key):
                what = "has no meaning with [jwt] key_file, where nothing is fetched; remove one"
                yield what, f"verify.{key}", "verify.preset", "jwt.key_file"
    elif not verify.url:
        what = 'is required with preset = "jwt": the address of the JWKS; or set [jwt] key_file'
        yield what, "verify.url", "verify.preset", "jwt.key_file"


def _jwt(jwt: JwtSettings) -> Iterator[Finding]:
    for key in ("issuer", "audience"):
        if not getattr(jwt, key):
            what = f'is required with [verify] preset = "jwt": only tokens with this {key} are good'
            yield what, f"jwt.{key}", "verify.preset"
    names = ("jwt.algorithms", "jwt.key_file", "verify.preset")
    hmac = [name for name in jwt.algorithms if is_hmac([name])]
    if hmac and len(hmac) < len(jwt.algorithms):
        what = f"has {hmac[0]} beside algorithms of public keys: whoever knows a public key could"
        yield f"{what} make tokens; keep one kind", *names
    elif hmac and not jwt.key_file:
        yield f"has {hmac[0]}, whose secret no JWKS may hold; set [jwt] key_file", *names
    elif jwt.key_file:
        # its path is not repeated: it may be the secret itself, put into the wrong setting
        for what in _key_file_problems(jwt.key_file, jwt):
            yield what, "jwt.key_file", *names


def _key_file_problems(file: Path, jwt: JwtSettings) -> Iterator[str]:
    if problem := file_problem(file):
        yield problem
        return
    if is_hmac(jwt.algorithms) and (problem := open_to_all(file)):
        yield problem
    try:
        with file.open("rb") as opened:
            of_file(opened.read(MAX_JWKS_BYTES + 1), jwt.algorithms)
    except UnusableKey as unusable:
        yield str(unusable)
