"""Which files of a folder may be served: the only place that walks the disk."""

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

log = logging.getLogger(__name__)


class TreeProblem(Exception):
    """A folder that cannot be served. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file below the root."""

    place: str
    """Its path; as text, because a `Path` of each takes a megabyte for 3,000 files."""
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.place)


def read_tree(root: Path) -> dict[str, File]:
    """Every regular file that may be served, by its name relative to the root, "/" between folders.

    Left out: names that begin with a dot, links that lead out of the root, special files, names
    that are not UTF-8. Raises `TreeProblem` when a folder cannot be read.
    """
    try:
        return dict(_walk(root, root, "", (root,)))
    except OSError as error:
        raise TreeProblem(f"{root} cannot be read: {error.strerror}: {error.filename}") from None


def signature(root: Path) -> bytes:
    """What tells one state of the folder from another: names, sizes and times, and where the root
    leads. Nothing is opened: 20,000 files take a few tenths of a second. Raises `TreeProblem`."""
    digest, seen = blake2b(digest_size=16), set()
    real = os.path.realpath(root)
    folders = [real]
    try:
        while folders:
            folder = folders.pop()
            digest.update(os.fsencode(folder))
            for item in sorted(os.scandir(folder), key=lambda item: item.name):
                if item.name.startswith(".") or (status := _status(item)) is None:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    told = f"\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\0"
                    digest.update(os.fsencode(item.name) + told.encode("ascii"))
                elif (place := (status.st_dev, status.st_ino)) not in seen:
                    seen.add(place)
                    folders.append(item.path)
    except OSError as error:
        raise TreeProblem(f"{root} cannot be read: {error.strerror}: {error.filename}") from None
    return digest.digest()


def _status(item: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return item.stat()
    except OSError:  # a link that leads nowhere, or a file that has just gone
        return None


def _walk(
    root: Path, folder: Path, prefix: str, above: tuple[Path, ...]
) -> Iterator[tuple[str, File]]:
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        name = prefix + item.name
        place = _within(root, Path(item.path)) if item.is_symlink() else item.path
        if item.name.startswith(".") or place is None:
            continue
        status = os.stat(place) if item.is_symlink() else item.stat()
        if stat.S_ISDIR(status.st_mode):
            real = Path(place)
            if real not in above:
                yield from _walk(root, real, name + "/", (*above, real))
        elif stat.S_ISREG(status.st_mode) and _is_text(name):
            yield name, File(place, status.st_size, status.st_mtime_ns)


def _within(root: Path, path: Path) -> str | None:
    """Where a link really leads, or None when that is out of the root, a dotfile or nowhere."""
    try:
        real = path.resolve(strict=True)
        parts = real.relative_to(root).parts
    except (OSError, ValueError, RuntimeError):
        log.warning("not served: %s is a link that leaves the site or leads nowhere", path)
        return None
    return None if any(part.startswith(".") for part in parts) else str(real)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        log.warning("not served: %r is no UTF-8 name", name)
        return False
    return True
