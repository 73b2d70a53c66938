"""What a token may look like, and its fingerprints.

Every token enters the program through `parse`; `gate check` alone makes some up. Its text leaves
only towards the verify API and into the sealed cookie.
"""

import hashlib
import re
from dataclasses import dataclass, field

MAX_TOKEN_BYTES = 4096
"""Longer than any token a request line of 8 KiB can carry beside a path and other parameters."""

# b64token of RFC 6750, section 2.1
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed bearer token. Its `repr` does not show it."""

    text: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal digits: the same under every key, so it survives key rotation."""
        return hashlib.sha256(self.text.encode("ascii")).hexdigest()


def parse(text: str) -> Token | None:
    """The token, or None for one that is refused without asking: empty, longer than
    `MAX_TOKEN_BYTES`, or with characters that RFC 6750, section 2.1 does not allow."""
    if len(text) > MAX_TOKEN_BYTES or _B64TOKEN.fullmatch(text) is None:
        return None
    return Token(text)
