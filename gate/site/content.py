"""One file of the site, in every coding that it is sent in.

To read, hash and compress thousands of files takes longer than a start may. So a file may be made
late: by whoever asks for it first, or by a thread once the gate serves. Its answers are the same
whenever that is; only a large one is streamed as it lies on disk until then.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from gate.site import media
from gate.site.encodings import encode, entity_tag, opens_to
from gate.site.held import Held
from gate.site.negotiation import IDENTITY
from gate.site.tree import File, TreeProblem

REVALIDATE = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"

WORTH_WAITING: Final = 1 << 18
"""Bytes of a file that whoever asks waits for, some 20 ms; a larger one is streamed meanwhile."""

_HEADER_BLOCKS: Final = 1024
"""Kept; those of 20,000 files in all codings would take 70 MB."""

_NONE: Final[Mapping[str, File]] = MappingProxyType({})
_IN_MEMORY: Final = File("", 0, 0)
"""In place of where thousands of files lay that are not read again."""

_ENDINGS: Final = {"br": ".br", "gzip": ".gz", IDENTITY: ""}


@dataclass(frozen=True, slots=True)
class Variant:
    """One file in one content coding."""

    name: str
    """The file in no coding, relative to the root."""
    coding: str
    size: int
    tag: str
    """What tells this state of the file from others."""
    varies: bool
    """Whether there are, or will be, other codings."""
    body: bytes | None
    """None where the file is streamed."""
    held: Held | None = None
    """It, open; None where it is in memory, or where too many others are."""

    @property
    def file(self) -> str:
        """The file relative to the root, for streaming."""
        return self.name + _ENDINGS[self.coding]

    @property
    def etag(self) -> str:
        """Its entity tag, of which every coding has its own."""
        # aiohttp's file response says that of the file, which may be a sibling
        return entity_tag(self.tag, IDENTITY if self.body is None else self.coding)

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Its header block."""
        return _headers(self.name, self.coding, self.etag, self.varies)


Variants = Mapping[str, Variant]
"""By coding. There is always `identity`, the file as it lies on disk: the one that ranges count
in."""


def best(variants: Variants, codings: Sequence[str]) -> Variant:
    """The variant in the first of these codings that there is one in."""
    for coding in codings:
        if coding in variants:
            return variants[coding]
    return variants[IDENTITY]


class Streamed(NamedTuple):
    """A file that is sent from disk."""

    file: File
    held: Held | None


class Content:
    """A file and its variants. It opens the file where it is to be `held`.

    Raises OSError where the file cannot be read, and `TreeProblem` where it is another one by now:
    here, and whenever it is read.
    """

    __slots__ = ("_file", "_held", "_lock", "_resident", "_siblings", "is_made", "name", "ready")

    def __init__(
        self,
        name: str,
        file: File,
        siblings: Mapping[str, File] = _NONE,
        *,
        resident: bool,
        held: bool = False,
    ) -> None:
        self.name = name
        """The file relative to the root."""
        self._file = file
        self._siblings = siblings or _NONE  # one for all who have none
        self._resident = resident
        self._held = Held(file) if held else None
        self._lock = Lock()
        self.is_made = not resident and not siblings
        """Whether nothing is left to do."""
        self.ready: Variants | None = None
        """What can be sent at once; None where there is nothing yet."""
        if not resident or file.size > WORTH_WAITING:
            later = bool(siblings) or (resident and media.is_compressible(name))
            self.ready = self._streamed({IDENTITY: Streamed(file, self._held)}, varies=later)

    def variants(self) -> Variants:
        """The file in every coding, made now where it is not yet. Blocks."""
        return self._made(late=True, like=None)

    def make(self, like: "Content | None" = None) -> None:
        """The same right after the file was found. Where it is as in an earlier reading, `like`,
        its variants are taken from there."""
        self._made(late=False, like=like)

    def plain(self) -> bytes:
        """Its bytes, from memory or disk. Blocks."""
        body = self.ready[IDENTITY].body if self.ready else None
        return self._read(late=True) if body is None else body

    def _made(self, *, late: bool, like: "Content | None") -> Variants:
        with self._lock:
            if not self.is_made:
                self.ready = self._in_memory(late, like) if self._resident else self._on_disk()
                self.is_made = True
                if self._resident:
                    self._file, self._held = _IN_MEMORY, None
            assert self.ready is not None, "made just now, or before"
            return self.ready

    @property
    def _path(self) -> Path:
        return self._held.path if self._held else self._file.path

    def _read(self, *, late: bool) -> bytes:
        with self._path.open("rb") as opened:
            body = opened.read()
            status = os.fstat(opened.fileno())
        found = (status.st_size, status.st_mtime_ns)
        if late and found != (self._file.size, self._file.mtime_ns):
            raise TreeProblem(f"{self._file.path} has changed since it was found")
        return body

    def _in_memory(self, late: bool, like: "Content | None") -> Variants:
        body = self._read(late=late)
        known = like.ready if like is not None and like.is_made else None
        if known is not None and not self._siblings and known[IDENTITY].body == body:
            return known
        built = {}
        for coding, file in self._siblings.items():
            with suppress(OSError, TreeProblem):  # it is a file of its own, and missed as such
                built[coding] = file.path.read_bytes()
        encoded = encode(self.name, body, built)
        varies = len(encoded.bodies) > 1
        return {
            coding: Variant(self.name, coding, len(each), encoded.digest, varies, each)
            for coding, each in encoded.bodies.items()
        }

    def _on_disk(self) -> Variants:
        found = {IDENTITY: Streamed(self._file, self._held)}
        for coding, file in self._siblings.items():
            with suppress(OSError, TreeProblem):  # it is a file of its own, and missed as such
                if self._holds_the_same(coding, file):
                    found[coding] = Streamed(file, self._held and Held(file))
        return self._streamed(found, varies=len(found) > 1)

    def _holds_the_same(self, coding: str, sibling: File) -> bool:
        with self._path.open("rb") as plain, sibling.path.open("rb") as packed:
            return opens_to(self.name, coding, packed, plain)

    def _streamed(self, found: Mapping[str, Streamed], *, varies: bool) -> Variants:
        return {
            coding: Variant(self.name, coding, file.size, _tag(file), varies, None, held)
            for coding, (file, held) in found.items()
        }


def _tag(file: File) -> str:
    return f"{file.mtime_ns:x}-{file.size:x}"


@lru_cache(maxsize=_HEADER_BLOCKS)
def _headers(name: str, coding: str, etag: str, varies: bool) -> CIMultiDictProxy[str]:
    headers = CIMultiDict(
        {
            "Content-Type": media.media_type(name),
            "Cache-Control": IMMUTABLE if media.is_fingerprinted(name) else REVALIDATE,
            "ETag": etag,
            "Accept-Ranges": "bytes",
        }
    )
    if varies:
        headers["Vary"] = "Accept-Encoding"
    if coding != IDENTITY:
        headers["Content-Encoding"] = coding
    return CIMultiDictProxy(headers)
