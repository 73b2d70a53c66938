"""A portal's token maker: real keys, real signatures, and every way to get a JWT wrong."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import get_default_algorithms

from gate.tokens import Token

ISSUER, AUDIENCE = "https://portal.example", "docs"
NOW = 1_800_000_000
"""Unix time of a `FakeClock` that was not moved."""

CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def as_json(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """The key of that kind and number, the same in a whole run: making one takes its time."""
    match kind.split():
        case ["RSA", bits]:
            return rsa.generate_private_key(65537, int(bits))
        case ["P-256"]:
            return ec.generate_private_key(ec.SECP256R1())
        case ["P-384"]:
            return ec.generate_private_key(ec.SECP384R1())
        case ["P-521"]:
            return ec.generate_private_key(ec.SECP521R1())
        case ["secp256k1"]:
            return ec.generate_private_key(ec.SECP256K1())
        case ["Ed25519"]:
            return ed25519.Ed25519PrivateKey.generate()
        case ["Ed448"]:
            return ed448.Ed448PrivateKey.generate()
    raise AssertionError(kind)


@dataclass(frozen=True)
class Signer:
    """One key with its name in the JWKS."""

    algorithm: str = "ES256"
    kind: str = "P-256"
    kid: str | None = "k1"
    number: int = 0

    @property
    def key(self) -> Any:
        return private_key(self.kind, self.number)

    def jwk(self, **changes: object) -> dict[str, object]:
        """The public key as an entry of a JWKS; a change to None leaves the member out."""
        made = get_default_algorithms()[self.algorithm].to_jwk(self.key.public_key(), as_dict=True)
        whole = {**made, "kid": self.kid, "use": "sig", **changes}
        return {name: value for name, value in whole.items() if value is not None}

    def pem(self) -> bytes:
        form = PublicFormat.SubjectPublicKeyInfo
        return bytes(self.key.public_key().public_bytes(Encoding.PEM, form))

    def private_pem(self) -> bytes:
        plain = NoEncryption()
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, plain))

    def sign(self, header: object, claims: object) -> str:
        """A token with exactly this header and these claims, JSON or bytes."""
        return signed(self.algorithm, self.key, header, claims)

    def text(self, header: Mapping[str, object] | None = None, **claims: object) -> str:
        """A good token but for these changes; a change to None leaves the member out."""
        whole = {"alg": self.algorithm, "kid": self.kid, **(header or {})}
        return self.sign(
            {name: value for name, value in whole.items() if value is not None},
            {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None},
        )

    def token(self, header: Mapping[str, object] | None = None, **claims: object) -> Token:
        return Token(self.text(header, **claims))


def signed(algorithm: str, key: Any, header: object, claims: object) -> str:
    parts = f"{b64(as_json(header))}.{b64(as_json(claims))}"
    signature = get_default_algorithms()[algorithm].sign(parts.encode("ascii"), key)
    return f"{parts}.{b64(signature)}"


def jwks(*signers: Signer) -> dict[str, object]:
    return {"keys": [signer.jwk() for signer in signers]}
