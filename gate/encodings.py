"""A file's bytes in the content codings it will be sent in, made once when the site is read."""

import hashlib
import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import brotli

from gate import media
from gate.negotiation import IDENTITY

log = logging.getLogger(__name__)

# where the curve of size against time bends for HTML and JavaScript
_BROTLI_QUALITY = 5
_GZIP_LEVEL = 6
_GZIP_WINDOW = 31  # zlib's way to say: with a gzip header

_WORTHWHILE = 0.9
"""A coding must save a tenth, or the client's decoding is not worth it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bodies by coding; `identity` is always there."""

    digest: str
    bodies: Mapping[str, bytes]

    def etag(self, coding: str) -> str:
        """A strong entity tag: every coding has its own (RFC 9110, section 8.8.3.3)."""
        return f'"{self.digest}"' if coding == IDENTITY else f'"{self.digest}-{coding}"'


def encode(name: str, body: bytes, built: Mapping[str, bytes]) -> Encoded:
    """Encode a file. `built` are the compressed siblings that the generator left beside it; one
    that does not decompress to the file is stale and is left aside."""
    bodies = {}
    for coding, codec in _CODECS.items():
        packed = built.get(coding)
        if packed is not None and codec.opens_to(packed, body):
            bodies[coding] = packed
            continue
        if packed is not None:
            log.warning("stale: the %s file beside %s does not hold it", coding, name)
        if media.is_compressible(name):
            packed = codec.pack(body)
            if len(packed) < _WORTHWHILE * len(body):
                bodies[coding] = packed
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Encoded(digest, {**bodies, IDENTITY: body})


class _Brotli:
    def pack(self, body: bytes) -> bytes:
        return bytes(brotli.compress(body, quality=_BROTLI_QUALITY))

    def opens_to(self, packed: bytes, body: bytes) -> bool:
        try:
            return bool(brotli.decompress(packed) == body)
        except brotli.error:
            return False


class _Gzip:
    def pack(self, body: bytes) -> bytes:
        packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        return packer.compress(body) + packer.flush()

    def opens_to(self, packed: bytes, body: bytes) -> bool:
        try:
            return zlib.decompress(packed, _GZIP_WINDOW) == body
        except zlib.error:
            return False


_CODECS: Mapping[str, _Brotli | _Gzip] = {"br": _Brotli(), "gzip": _Gzip()}
