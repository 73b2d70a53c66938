"""Which verifier `[verify] preset` means, and what of the settings its verdicts depend on."""

import time
from collections.abc import Callable

from pydantic import BaseModel, SecretStr

from gate.config.settings import IntrospectionSettings, JwtSettings, VerifySettings
from gate.verify.api import ApiVerifier
from gate.verify.introspection import IntrospectionVerifier
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.listener import NOBODY, Listener


def make_verifier(
    verify: VerifySettings,
    introspection: IntrospectionSettings,
    jwt: JwtSettings,
    *,
    session_expires: str = "",
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    listener: Listener = NOBODY,
) -> ApiVerifier | JwtVerifier:
    """The verifier; an async context manager. `wall` is Unix time: a JWT is held against it.
    `listener` hears what is answered."""
    end = session_expires
    match verify.preset:
        case "boolean":
            return ApiVerifier(verify, session_expires=end, clock=clock, listener=listener)
        case "introspection":
            return IntrospectionVerifier(
                verify, introspection, session_expires=end, clock=clock, listener=listener
            )
        case "jwt":
            return JwtVerifier(
                verify, jwt, session_expires=end, clock=clock, wall=wall, listener=listener
            )


def fingerprint(
    verify: VerifySettings, introspection: IntrospectionSettings, jwt: JwtSettings
) -> bytes:
    """All that a verdict depends on, secrets too: a verdict of one API, or of one way to ask it,
    is none of another. It goes into a keyed hash and nowhere else."""
    return repr([_plain(section) for section in (verify, introspection, jwt)]).encode("utf-8")


def _plain(value: object) -> object:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {name: _plain(value[name]) for name in sorted(value)}
    return value
