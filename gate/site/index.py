"""The site index: everything that can be served, read once, looked up by membership.

A path is served because it stands in the index. Request text is never joined to a directory, so
there is nothing to sanitise: dotfiles, special files, links that leave the root and the root's
neighbours are not in the index, and what is not in it does not exist.
"""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from multidict import CIMultiDict, CIMultiDictProxy

from gate.site import media
from gate.site.encodings import Encoded, encode, opens_to
from gate.site.held import Held, how_many
from gate.site.negotiation import IDENTITY, acceptable
from gate.site.tree import File, TreeProblem, read_tree, signature

log = logging.getLogger(__name__)

INDEX_PAGE = "index.html"
OWN_FOLDER = "-"
"""The gate's own URLs live under /-/, so a site cannot have a folder of that name at its top."""

REVALIDATE = "private, no-cache"
IMMUTABLE = "private, max-age=31536000, immutable"

_SAFE = "/!$&'()*+,;=:@~"
_COMPRESSED_SHARE = 0.6
_LARGEST_SHARE = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """One file in one content coding, with its header block made in advance."""

    coding: str
    size: int
    etag: str
    headers: CIMultiDictProxy[str]
    body: bytes | None
    """None where the file is streamed."""
    file: str
    """The file relative to the root, for streaming."""
    held: Held | None = None
    """The same, open; None where it is in memory, or where too many others are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A path that answers with a file."""

    path: str
    """The canonical URL path, percent-encoded."""
    page: bool
    public: bool
    variants: Mapping[str, Variant]

    def choose(self, accept_encoding: str | None) -> Variant:
        """The variant that suits the client best (RFC 9110, section 12.5.3)."""
        return self.best(acceptable(accept_encoding))

    def best(self, codings: Sequence[str]) -> Variant:
        """The variant in the first of these codings that there is one in."""
        for coding in codings:
            if coding in self.variants:
                return self.variants[coding]
        return self.variants[IDENTITY]

    @property
    def identity(self) -> Variant:
        """The file as it lies on disk: the one that ranges count in."""
        return self.variants[IDENTITY]


@dataclass(frozen=True, slots=True)
class Redirect:
    """A path whose canonical spelling is another."""

    path: str
    """Where it leads: the canonical URL path, percent-encoded."""
    location: str
    """The same, relative, so that it holds behind any prefix."""
    public: bool


class Site:
    """The index. `missing` is the site's own 404 page, None where it has none; `state` is the
    signature of the folder that it was read from."""

    def __init__(
        self, root: Path, paths: Mapping[str, Entry | Redirect], *, state: bytes = b""
    ) -> None:
        self.root = root
        self.state = state
        self._paths = paths
        found = paths.get("/404.html")
        self.missing = found if isinstance(found, Entry) else None

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[str]:
        """The decoded paths."""
        return iter(self._paths)

    def entries(self) -> Iterator[Entry]:
        """Every path that answers with a file."""
        return (found for found in self._paths.values() if isinstance(found, Entry))

    def file(self, name: str) -> Entry | None:
        """The entry of a file, by its name relative to the root."""
        found = self._paths.get("/" + name)
        return found if isinstance(found, Entry) else None

    def lookup(self, raw_path: str) -> Entry | Redirect | None:
        """What stands at a path as it came over the wire, still percent-encoded."""
        if "%" not in raw_path:
            return self._paths.get(raw_path)
        decoded = _decode(raw_path)
        return None if decoded is None else self._paths.get(decoded)

    def canonical(self, raw_path: str) -> str | None:
        """The canonical URL path, percent-encoded, of a path of this site; None for any other."""
        found = self.lookup(raw_path)
        return None if found is None else found.path


def _decode(raw_path: str) -> str | None:
    # %2F and a plain slash are different URLs (RFC 3986, section 2.2) of the same decoded text
    if "%2f" in raw_path.lower():
        return None
    try:
        return unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeError:
        return None


def read_site(
    root: Path,
    *,
    public: Sequence[str],
    memory_bytes: int,
    like: Site | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> Site:
    """Read the folder once. Raises `TreeProblem` where it is not a site.

    Files go into memory, smallest first, until `memory_bytes` are used with their compressed
    variants; the others are streamed. A public glob that matches nothing is warned about. What is
    as in `like`, an earlier reading, is taken from there. It stops where `go_on` says no.
    """
    state = signature(root)
    root = root.resolve()
    files = read_tree(root)
    if INDEX_PAGE not in files:
        raise TreeProblem(f"{root} has no {INDEX_PAGE}: is it the folder that the generator built?")
    if any(name.startswith(OWN_FOLDER + "/") for name in files) or (root / OWN_FOLDER).exists():
        raise TreeProblem(f'{root} has a folder named "-", where the gate has its own URLs')
    read = _Reader(files, _resident(files, memory_bytes), like, go_on)
    with ThreadPoolExecutor(thread_name_prefix="site") as pool:
        variants = dict(zip(files, pool.map(read.variants, files), strict=True))
    return Site(root, _paths(variants, _Public(public)), state=state)


def _resident(files: Mapping[str, File], memory_bytes: int) -> set[str]:
    """The names to keep in memory: the smallest, as many as fit with their variants."""
    resident = set()
    left = float(memory_bytes)
    for name, file in sorted(files.items(), key=lambda item: item[1].size):
        left -= file.size * (1 + _COMPRESSED_SHARE * media.is_compressible(name))
        if left < 0 or file.size > memory_bytes / _LARGEST_SHARE:
            break
        resident.add(name)
    return resident


class _Reader:
    """Reads one file after the other, in several threads at once."""

    def __init__(
        self,
        files: Mapping[str, File],
        resident: set[str],
        like: Site | None,
        go_on: Callable[[], bool],
    ) -> None:
        self._files = files
        self._resident = resident
        self._like = like
        self._go_on = go_on
        streamed = sorted(files.keys() - resident, key=lambda name: -files[name].size)
        self._holding = set(streamed[: how_many()])
        if len(self._holding) < len(streamed):
            log.debug("%d of %d files are held open", len(self._holding), len(streamed))

    def variants(self, name: str) -> Mapping[str, Variant]:
        """The file in every coding. Raises `TreeProblem`."""
        if not self._go_on():
            raise TreeProblem("stopped before all was read")
        files = self._files
        siblings = {
            coding: files[name + ending]
            for coding, ending in (("br", ".br"), ("gzip", ".gz"))
            if name + ending in files
        }
        try:
            if name not in self._resident:
                held = Held(files[name]) if name in self._holding else None
                return _streamed(name, files[name], held, _opening(name, files[name], siblings))
            body = files[name].path.read_bytes()
            if not siblings and (known := self._known(name, body)):
                return known
            built = {coding: file.path.read_bytes() for coding, file in siblings.items()}
        except OSError as error:
            raise TreeProblem(f"{error.filename} cannot be read: {error.strerror}") from None
        return _in_memory(name, encode(name, body, built))

    def _known(self, name: str, body: bytes) -> Mapping[str, Variant] | None:
        found = self._like.file(name) if self._like is not None else None
        return found.variants if found is not None and found.identity.body == body else None


def _opening(name: str, file: File, siblings: Mapping[str, File]) -> dict[str, File]:
    """The siblings that hold the file. Raises OSError for what cannot be read."""
    found = {}
    with file.path.open("rb") as plain:
        for coding, sibling in siblings.items():
            plain.seek(0)
            with sibling.path.open("rb") as packed:
                if opens_to(name, coding, packed, plain):
                    found[coding] = sibling
    return found


def _in_memory(name: str, encoded: Encoded) -> dict[str, Variant]:
    return {
        coding: Variant(
            coding=coding,
            size=len(body),
            etag=(etag := encoded.etag(coding)),
            headers=_headers(name, coding, etag, varies=len(encoded.bodies) > 1),
            body=body,
            file=name,
        )
        for coding, body in encoded.bodies.items()
    }


def _streamed(
    name: str, file: File, held: Held | None, siblings: Mapping[str, File]
) -> dict[str, Variant]:
    endings = {"br": ".br", "gzip": ".gz", IDENTITY: ""}
    found = {**siblings, IDENTITY: file}
    return {
        coding: Variant(
            coding=coding,
            size=each.size,
            etag=(etag := f'"{each.mtime_ns:x}-{each.size:x}"'),
            headers=_headers(name, coding, etag, varies=len(found) > 1),
            body=None,
            file=name + endings[coding],
            held=held if coding == IDENTITY else held and Held(each),
        )
        for coding, each in found.items()
    }


def _headers(name: str, coding: str, etag: str, *, varies: bool) -> CIMultiDictProxy[str]:
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


def _paths(
    variants: Mapping[str, Mapping[str, Variant]], public: "_Public"
) -> dict[str, Entry | Redirect]:
    paths: dict[str, Entry | Redirect] = {}
    for name, found in variants.items():
        path = "/" + name
        paths[path] = Entry(quote(path, safe=_SAFE), media.is_page(name), public(path), found)
        if name == INDEX_PAGE or name.endswith("/" + INDEX_PAGE):
            folder = path.removesuffix(INDEX_PAGE)
            paths[folder] = Entry(quote(folder, safe=_SAFE), True, public(folder), found)
            if folder != "/":
                paths[folder[:-1]] = _redirect(folder, public)
    public.warn()
    return paths


def _redirect(folder: str, public: "_Public") -> Redirect:
    path = quote(folder, safe=_SAFE)
    last = path[:-1].rpartition("/")[2]
    # "./" keeps a colon in the name from being read as a scheme (RFC 3986, section 4.2)
    return Redirect(path, f"./{last}/" if ":" in last else f"{last}/", public(folder))


class _Public:
    """Whether a path may be read by anyone: `*` matches within a segment, `**` across them."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._globs = {glob: re.compile(_glob_pattern(glob), re.DOTALL) for glob in globs}
        self._unused = set(globs)

    def __call__(self, path: str) -> bool:
        matching = {glob for glob, pattern in self._globs.items() if pattern.fullmatch(path)}
        self._unused -= matching
        return bool(matching)

    def warn(self) -> None:
        for glob in sorted(self._unused):
            log.warning("[site] public: %r matches no path of the site", glob)


def _glob_pattern(glob: str) -> str:
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    pieces = re.split(r"(\*\*/|\*\*|\*)", glob)
    return "".join(meanings.get(piece) or re.escape(piece) for piece in pieces)
