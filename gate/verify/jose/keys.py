"""Keys that may verify a JWT: out of a JWKS or a key file, each with the algorithms it is good for.

Pure. What may verify is decided here, before any token is seen: a key's kind and the allow-list
fix its algorithms, and no header of a token can widen them. No message holds key material.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from gate.verify import strict_json

MAX_JWKS_BYTES = 256 * 1024
"""Bounds what is read; the sets of the large identity providers have 2 to 10 KiB."""

MAX_KEYS = 64
"""More keys than that in one set are no rotation, and each costs time to read."""

MAX_TRIES = 8
"""Keys that are tried on one token: bounds what one token may cost."""

SMALLEST_RSA, LARGEST_RSA = 2048, 8192
"""Bits. RFC 7518, 3.3 wants the one; beyond the other every token costs milliseconds."""

_LONGEST_NUMBER: Final = LARGEST_RSA // 6 + 8  # characters of base64url; longer ones are not read
_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_READERS: Final = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
_RSA: Final = frozenset(f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512))
_EC: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_HMAC_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}  # RFC 7518, 3.2
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class UnusableKey(ValueError):
    """A key that must not verify anything. The message completes "the key …"."""


class NotForUs(UnusableKey):
    """A key that is as it should be, for another purpose."""


@dataclass(frozen=True, slots=True)
class Key:
    """Material that PyJWT takes, and the only algorithms it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    material: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that are good now. `ignored` says of each other key why it is none, and
    `suspicious` of those among them that somebody should look at."""

    keys: tuple[Key, ...] = ()
    ignored: tuple[str, ...] = ()
    suspicious: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    def names(self, kid: str | None) -> bool:
        """Whether a key has this name, whatever else it may be good for."""
        return kid is not None and any(key.kid == kid for key in self.keys)

    def suitable(self, kid: str | None, algorithm: str) -> tuple[Key, ...]:
        """The keys to try on a token: those of that name, else those without any; on a token
        that names none, all. At most `MAX_TRIES`."""
        named = self.names(kid)
        found = (
            key
            for key in self.keys
            if algorithm in key.algorithms and (kid is None or key.kid == (kid if named else None))
        )
        return tuple(key for key, _ in zip(found, range(MAX_TRIES), strict=False))


def is_hmac(algorithms: Iterable[str]) -> bool:
    """Whether a shared secret is wanted and no public key."""
    return any(name.startswith("HS") for name in algorithms)


def of_jwks(raw: bytes, allowed: Iterable[str]) -> KeySet:
    """The usable keys of a JWKS (RFC 7517, 5). Raises ValueError for what is no JWKS."""
    document = strict_json.loads(raw)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no JWKS")
    keys, ignored, suspicious = [], [], []
    for number, entry in enumerate(entries[:MAX_KEYS], 1):
        try:
            keys.append(_of_jwk(entry, frozenset(allowed)))
        except UnusableKey as problem:
            ignored.append(f"key {number} {problem}")
            if not isinstance(problem, NotForUs):
                suspicious.append(ignored[-1])
    if len(entries) > MAX_KEYS:
        suspicious.append(f"only the first {MAX_KEYS} of {len(entries)} keys are read")
    return KeySet(tuple(keys), tuple(ignored), tuple(suspicious))


def of_file(raw: bytes, allowed: Iterable[str]) -> KeySet:
    """The keys of `[jwt] key_file`: a secret for HMAC, else PEM public keys or a JWKS.

    Raises `UnusableKey` where there is none; the message completes "the file …".
    """
    if len(raw) > MAX_JWKS_BYTES:
        raise UnusableKey(f"is larger than {MAX_JWKS_BYTES // 1024} KiB")
    if is_hmac(allowed):
        if not set(allowed) <= set(_HMAC_BYTES):
            raise UnusableKey("cannot be a secret and hold public keys")
        return KeySet((_shared_secret(raw.rstrip(b"\r\n"), frozenset(allowed)),))
    if raw.lstrip().startswith(b"{"):
        return _of_jwks_file(raw, allowed)
    keys = tuple(_of_pem(raw, frozenset(allowed)))
    if not keys:
        raise UnusableKey("holds neither public keys in PEM nor a JWKS")
    return KeySet(keys)


def _of_jwks_file(raw: bytes, allowed: Iterable[str]) -> KeySet:
    try:
        found = of_jwks(raw, allowed)
    except ValueError:
        raise UnusableKey('is no JWKS, {"keys": […]}') from None
    if not found:
        reasons = "; ".join(found.ignored) or "it is empty"
        raise UnusableKey(f"is a JWKS without a usable key: {reasons}")
    return found


def _shared_secret(secret: bytes, allowed: frozenset[str]) -> Key:
    needed = max(_HMAC_BYTES[name] for name in allowed)
    if len(secret) < needed:
        what = f"is a short secret: {len(secret)} bytes, and {max(allowed)} wants at least {needed}"
        raise UnusableKey(what)
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except jwt.InvalidKeyError:
        raise UnusableKey("is no secret: it holds keys or a certificate, not for HMAC") from None
    return Key(None, allowed, secret)


def _of_pem(raw: bytes, allowed: frozenset[str]) -> Iterator[Key]:
    for block in _PEM.finditer(raw):
        label = block.group(1).decode("ascii")
        if label.endswith("PRIVATE KEY"):
            cure = "openssl pkey -in FILE -pubout"
            raise UnusableKey(f"holds a private key, and only its public half belongs here: {cure}")
        if label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
            cure = "openssl x509 -in FILE -pubkey -noout"
            raise UnusableKey(f"holds a {label.lower()}; of a certificate, print the key: {cure}")
        try:
            material = load_pem_public_key(block.group())
        except (ValueError, UnsupportedAlgorithm):
            raise UnusableKey("holds a public key that cannot be read") from None
        yield Key(None, _algorithms_of(material, allowed), material)


def _of_jwk(entry: object, allowed: frozenset[str]) -> Key:
    if not isinstance(entry, dict):
        raise UnusableKey("is no object")
    kty, kid = entry.get("kty"), entry.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise UnusableKey("has a kid that is no text")
    if kty == "oct" or "d" in entry:
        raise UnusableKey("is a secret key, and whoever can read this set has it")
    if kty not in _MEMBERS:
        raise UnusableKey("is of an unknown kind (kty)")
    if entry.get("use", "sig") != "sig" or not _may_verify(entry.get("key_ops", ["verify"])):
        raise NotForUs("is not for signatures (use, key_ops)")
    material = _material(kty, {name: entry.get(name) for name in _MEMBERS[kty]})
    if (only := entry.get("alg")) is not None:
        allowed = frozenset(name for name in allowed if name == only)
    return Key(kid, _algorithms_of(material, allowed), material)


def _may_verify(operations: object) -> bool:
    return isinstance(operations, list) and "verify" in operations


def _material(kty: str, members: dict[str, Any]) -> object:
    if not all(isinstance(value, str) for value in members.values()):
        raise UnusableKey("lacks what a key of its kind has")
    if any(len(value) > _LONGEST_NUMBER for value in members.values()):
        raise UnusableKey(f"is too large: more than {LARGEST_RSA} bits")
    try:
        return _READERS[kty]({"kty": kty, **members})
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("cannot be read") from None


def _algorithms_of(material: object, allowed: frozenset[str]) -> frozenset[str]:
    """What the key may be used for. Raises `UnusableKey` if that is nothing."""
    match material:
        case RSAPublicKey(key_size=bits):
            if not SMALLEST_RSA <= bits <= LARGEST_RSA:
                limits = f"RSA keys have {SMALLEST_RSA} to {LARGEST_RSA}"
                raise UnusableKey(f"has {bits} bits, and {limits}")
            good = _RSA
        case EllipticCurvePublicKey(curve=curve):
            good = frozenset([_EC.get(curve.name, "")])
        case Ed25519PublicKey() | Ed448PublicKey():
            good = frozenset(["EdDSA"])
        case _:
            good = frozenset()
    if not good & allowed:
        raise NotForUs("is for no algorithm of [jwt] algorithms")
    return good & allowed
