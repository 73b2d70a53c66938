"""A file's bytes in the content codings it will be sent in, made once when the site is read."""

import hashlib
import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import brotli

from gate.site import media
from gate.site.negotiation import IDENTITY

log = logging.getLogger(__name__)

# where the curve of size against time bends for HTML and JavaScript
_BROTLI_QUALITY = 5
_GZIP_LEVEL = 6
_GZIP_WINDOW = 31  # zlib's way to say: with a gzip header

_PIECE = 1 << 18  # bytes read at once

_WORTHWHILE = 0.9
"""A coding must save a tenth, or the client's decoding is not worth it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bodies by coding; `identity` is always there."""

    digest: str
    bodies: Mapping[str, bytes]

    def etag(self, coding: str) -> str:
        """The entity tag of one of them."""
        return entity_tag(self.digest, coding)


def entity_tag(tag: str, coding: str) -> str:
    """A strong entity tag of what `tag` tells from other states of a file: every coding has its own
    (RFC 9110, section 8.8.3.3)."""
    return f'"{tag}"' if coding == IDENTITY else f'"{tag}-{coding}"'


def encode(name: str, body: bytes, built: Mapping[str, bytes]) -> Encoded:
    """Encode a file. `built` are the compressed siblings that the generator left beside it; one
    that does not decompress to the file is stale and is left aside."""
    bodies = {}
    for coding, pack in _PACKERS.items():
        packed = built.get(coding)
        if packed is not None and opens_to(name, coding, BytesIO(packed), BytesIO(body)):
            bodies[coding] = packed
            continue
        if media.is_compressible(name):
            packed = pack(body)
            if len(packed) < _WORTHWHILE * len(body):
                bodies[coding] = packed
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Encoded(digest, {**bodies, IDENTITY: body})


def opens_to(name: str, coding: str, packed: BinaryIO, plain: BinaryIO) -> bool:
    """Whether a compressed sibling of the file `name` holds it; compared piece by piece."""
    opener = _Brotli() if coding == "br" else _Gzip()
    try:
        while piece := packed.read(_PIECE):
            opened = opener.open(piece)
            if plain.read(len(opened)) != opened:
                break
        else:
            if opener.ended and not plain.read(1):
                return True
    except (brotli.error, zlib.error):
        pass
    log.warning("stale: the %s file beside %s does not hold it", coding, name)
    return False


class _Brotli:
    def __init__(self) -> None:
        self._opener = brotli.Decompressor()

    def open(self, piece: bytes) -> bytes:
        return bytes(self._opener.process(piece))

    @property
    def ended(self) -> bool:
        return bool(self._opener.is_finished())


class _Gzip:
    def __init__(self) -> None:
        self._opener = zlib.decompressobj(_GZIP_WINDOW)

    def open(self, piece: bytes) -> bytes:
        return self._opener.decompress(piece)

    @property
    def ended(self) -> bool:
        return self._opener.eof and not self._opener.unused_data


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=_BROTLI_QUALITY))


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}
