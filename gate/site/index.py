"""The site index: everything that can be served, read once, looked up by membership.

A path is served because it stands in the index. Request text is never joined to a directory, so
there is nothing to sanitise: dotfiles, special files, links that leave the root and the root's
neighbours are not in the index, and what is not in it does not exist.
"""

import errno
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from gate.site import media
from gate.site.content import Content, Variant, Variants
from gate.site.held import how_many
from gate.site.negotiation import IDENTITY
from gate.site.tree import File, TreeProblem, read_tree, signature

log = logging.getLogger(__name__)

INDEX_PAGE = "index.html"
OWN_FOLDER = "-"
"""The gate's own URLs live under /-/, so a site cannot have a folder of that name at its top."""

_SAFE = "/!$&'()*+,;=:@~"
_PLAIN = re.compile(r"[\w./!$&'()*+,;=:@~-]*", re.ASCII)
_COMPRESSED_SHARE = 0.6
_LARGEST_SHARE = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A path that answers with a file."""

    path: str
    """The canonical URL path, percent-encoded."""
    page: bool
    public: bool
    content: Content

    @property
    def file(self) -> str:
        """The file, relative to the root."""
        return self.content.name

    @property
    def variants(self) -> Variants:
        """The file in every coding. Blocks, and raises, as `Content.variants` does."""
        return self.content.variants()

    @property
    def identity(self) -> Variant:
        """The file as it lies on disk; blocks as well."""
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

    def contents(self) -> Iterator[Content]:
        """Every file once, though it may stand at two paths."""
        return iter({entry.file: entry.content for entry in self.entries()}.values())

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


def always(size: int) -> bool:
    """Every file is made while the site is read."""
    return True


def read_site(
    root: Path,
    *,
    public: Sequence[str],
    memory_bytes: int,
    like: Site | None = None,
    go_on: Callable[[], bool] = lambda: True,
    at_once: Callable[[int], bool] = always,
) -> Site:
    """Read the folder once. Raises `TreeProblem` where it is not a site.

    Files go into memory, smallest first, until `memory_bytes` are used with their compressed
    variants; the others are streamed. A public glob that matches nothing is warned about. What is
    as in `like`, an earlier reading, is taken from there. It stops where `go_on` says no. A file of
    so many bytes that `at_once` says no to is made later; that it can be read is known.
    """
    state = signature(root)
    root = root.resolve()
    files = read_tree(root)
    if INDEX_PAGE not in files:
        raise TreeProblem(f"{root} has no {INDEX_PAGE}: is it the folder that the generator built?")
    if any(name.startswith(OWN_FOLDER + "/") for name in files) or (root / OWN_FOLDER).exists():
        raise TreeProblem(f'{root} has a folder named "-", where the gate has its own URLs')
    read = _Reader(files, memory_bytes, like, at_once)
    contents = {}
    for name in sorted(files, key=lambda name: files[name].size):
        if not go_on():
            raise TreeProblem("stopped before all was read")
        contents[name] = read.content(name)
    in_order = {name: contents[name] for name in files}
    return Site(root, _paths(in_order, _Public(public)), state=state)


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
    """Reads one file after the other."""

    def __init__(
        self,
        files: Mapping[str, File],
        memory_bytes: int,
        like: Site | None,
        at_once: Callable[[int], bool],
    ) -> None:
        self._files = files
        self._resident = _resident(files, memory_bytes)
        self._like = like
        self._at_once = at_once
        streamed = files.keys() - self._resident
        # those that go into memory are held until they are there, by what is left
        first = sorted(files, key=lambda name: (name not in streamed, -files[name].size))
        self._holding = set(first[: how_many()])
        if not streamed <= self._holding:
            log.debug("%d of %d files are held open", len(self._holding), len(streamed))

    def content(self, name: str) -> Content:
        """The file, made or not. Raises `TreeProblem`."""
        file, resident = self._files[name], name in self._resident
        now = self._at_once(file.size)
        held = name in self._holding and not (resident and now)
        try:
            content = Content(name, file, self._siblings(name), resident=resident, held=held)
            if now:
                content.make(self._known(name))
            elif not held and not os.access(file.place, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file.place)
        except OSError as error:
            raise TreeProblem(f"{error.filename} cannot be read: {error.strerror}") from None
        return content

    def _siblings(self, name: str) -> dict[str, File]:
        files = self._files
        return {
            coding: files[name + ending]
            for coding, ending in (("br", ".br"), ("gzip", ".gz"))
            if name + ending in files
        }

    def _known(self, name: str) -> Content | None:
        found = self._like.file(name) if self._like is not None else None
        return None if found is None else found.content


def _paths(contents: Mapping[str, Content], public: "_Public") -> dict[str, Entry | Redirect]:
    paths: dict[str, Entry | Redirect] = {}
    for name, found in contents.items():
        path = "/" + name
        paths[path] = Entry(_quoted(path), media.is_page(name), public(path), found)
        if name == INDEX_PAGE or name.endswith("/" + INDEX_PAGE):
            folder = path.removesuffix(INDEX_PAGE)
            paths[folder] = Entry(_quoted(folder), True, public(folder), found)
            if folder != "/":
                paths[folder[:-1]] = _redirect(folder, public)
    public.warn()
    return paths


def _quoted(path: str) -> str:
    # one text in memory where it can be, and of 20,000 most can
    return path if _PLAIN.fullmatch(path) else quote(path, safe=_SAFE)


def _redirect(folder: str, public: "_Public") -> Redirect:
    path = _quoted(folder)
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
