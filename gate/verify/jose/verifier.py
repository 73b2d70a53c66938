"""Judges a JWT on the spot: a `Verdict`, or `VerifyUnavailable` where the keys cannot be had.

PyJWT checks the signature. The claims are judged here, by the gate's own clock and without its
leniency: what is not exactly as RFC 7519 wants it is a no. Keys are looked for where the settings
say and nowhere else: `jku`, `jwk`, `x5u` and `x5c` in a token's header are not read.
"""

import base64
import binascii
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from gate.cache import Verdict
from gate.config.settings import JwtSettings, VerifySettings
from gate.tokens import Token
from gate.verify import strict_json
from gate.verify.breaker import Breaker
from gate.verify.jose.keys import Key, KeySet
from gate.verify.jose.refusal import Refusal
from gate.verify.jose.sources import KeyAddress, KeyFile, KeySource
from gate.verify.judge import NO, Claims, Scope, Unreadable, is_time
from gate.verify.listener import NOBODY, Listener

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_UNKNOWN: Final = ("crit", "b64")  # RFC 7515, 4.1.11: what must be understood; RFC 7797
_JWS: Final = jwt.PyJWS(options={"verify_signature": True, "enforce_minimum_key_length": True})


class JwtVerifier:
    """The preset "jwt". Use it as an async context manager.

    `clock` is monotonic, `wall` is Unix time, `session_expires` the pointer of `[session]
    expires`.
    """

    def __init__(
        self,
        verify: VerifySettings,
        settings: JwtSettings,
        *,
        session_expires: str = "",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        listener: Listener = NOBODY,
    ) -> None:
        self._algorithms = settings.algorithms
        self._rules = ClaimRules(settings, Claims(verify, session_expires), wall)
        self.breaker = Breaker(clock)
        self._source: KeySource = (
            KeyFile(settings.key_file, settings.algorithms)
            if settings.key_file
            else KeyAddress(verify, settings.algorithms, self.breaker, clock, listener)
        )

    async def __aenter__(self) -> "JwtVerifier":
        await self._source.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._source.close()

    async def keys(self) -> KeySet:
        """The keys that tokens are held against now. Raises `VerifyUnavailable`."""
        return await self._source.keys()

    @property
    def known(self) -> KeySet:
        """The keys of the last look, and why others in it are none."""
        return self._source.known

    async def verify(self, token: Token) -> Verdict:
        """Judge. Raises `VerifyUnavailable` where a key is needed that cannot be had."""
        found = await self.judged(token)
        return NO if isinstance(found, Refusal) else found

    async def judged(self, token: Token) -> Verdict | Refusal:
        """A yes, or why not. Raises `VerifyUnavailable` like `verify`."""
        signed = parse(token.text, self._algorithms)
        if isinstance(signed, Refusal):
            return signed
        found = self._rules.judged(signed.claims)
        if isinstance(found, Refusal):
            return found
        return await self._doubt(signed) or found

    async def _doubt(self, signed: "SignedToken") -> Refusal | None:
        """Why the signature does not hold; None if it does."""
        before = self._source.known
        keys = await self._source.keys()
        if signed.is_by_one_of(keys):
            return None
        if not keys.names(signed.kid) and keys is before:  # neither known, nor are they fresh
            newer = await self._source.newer()
            if newer is not keys and signed.is_by_one_of(newer):
                return None
            keys = newer
        unknown = signed.kid is not None and not keys.names(signed.kid)
        return Refusal.KEY if unknown else Refusal.SIGNATURE


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A well-formed JWT whose signature nobody has checked yet."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None
    claims: dict[str, object] = field(repr=False)

    def is_by_one_of(self, keys: KeySet) -> bool:
        """Whether one of the keys made the signature."""
        return any(self._is_by(key) for key in keys.suitable(self.kid, self.algorithm))

    def _is_by(self, key: Key) -> bool:
        try:
            _JWS.decode_complete(self.text, key.material, algorithms=sorted(key.algorithms))
        except (jwt.PyJWTError, ValueError):
            return False
        return True


def parse(text: str, algorithms: Sequence[str]) -> SignedToken | Refusal:
    """The token's parts; or why not, for what is no JWT, or wants an extension or an algorithm
    that is not in `algorithms`."""
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        return Refusal.MALFORMED
    decoded = [_decoded(part) for part in parts.groups()]
    header, claims = (_object(raw) for raw in decoded[:2])
    if (
        header is None
        or claims is None
        or None in decoded
        or not header.keys().isdisjoint(_UNKNOWN)
    ):
        return Refusal.MALFORMED
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        return Refusal.ALGORITHM
    if "kid" in header and not isinstance(kid, str):
        return Refusal.MALFORMED
    return SignedToken(text, algorithm, kid, claims)


def _decoded(part: str) -> bytes | None:
    """The bytes of base64url in its one true spelling: with another one, a token that was changed
    in its last character would still be good."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        return None
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=") == part.encode("ascii") else None


def _object(raw: bytes | None) -> dict[str, Any] | None:
    try:
        document = strict_json.loads(raw or b"")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


class ClaimRules:
    """What the claims of a token must say (RFC 7519, 4.1), its signature apart."""

    def __init__(self, settings: JwtSettings, claims: Claims, wall: Callable[[], float]) -> None:
        self._issuer = settings.issuer
        self._audience = settings.audience
        self._leeway = settings.leeway
        self._scope = Scope(settings.scope, "scope", "scp")
        self._claims = claims
        self._wall = wall

    def judged(self, document: dict[str, object]) -> Verdict | Refusal:
        """A yes that holds until the token's end with the leeway added, or why not."""
        end = self._end(document)
        if foreign := self._is_for_others(document):
            return foreign
        if end is None:
            return Refusal.NO_END
        if self._is_early(document):
            return Refusal.EARLY
        try:
            if not self._scope.covers(document):
                return Refusal.SCOPE
            found = self._claims.verdict(document)
        except Unreadable:
            return Refusal.CLAIM
        ends = min(end, end if found.expires is None else found.expires) + self._leeway
        if self._wall() >= ends:
            return Refusal.EXPIRED
        return Verdict(
            active=True,
            subject=found.subject,
            expires=ends,
            session_expires=found.session_expires,
        )

    def _is_for_others(self, document: dict[str, object]) -> Refusal | None:
        # empty settings match nothing: the settings require both, and this does not lean on it
        if not self._issuer or document.get("iss") != self._issuer:
            return Refusal.ISSUER
        audience = document.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        if not self._audience or self._audience not in listed:
            return Refusal.AUDIENCE
        return None

    def _end(self, document: dict[str, object]) -> float | None:
        end = document.get("exp")
        return float(end) if is_time(end) else None

    def _is_early(self, document: dict[str, object]) -> bool:
        """Whether it is good later than now, or says so in a way that is no time."""
        latest = self._wall() + self._leeway
        begins = (document[name] for name in ("nbf", "iat") if name in document)
        return any(not is_time(begin) or begin > latest for begin in begins)
