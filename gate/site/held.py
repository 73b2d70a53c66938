"""Files that are streamed, held open: a generator that deletes and writes anew what is being served
takes away their names, not their bytes.

A file that is overwritten in its place is another matter; it is noticed, and not sent.
"""

import os
import sys
from pathlib import Path

from gate.site.tree import File, TreeProblem

if sys.platform != "win32":
    import resource

_DESCRIPTORS = Path("/proc/self/fd")
_SHARE = 4
"""One descriptor in so many may be spent on files; the others are for connections."""


class Held:
    """An open file. It is closed when the last build and the last answer that know it have gone."""

    __slots__ = ("_descriptor", "_mtime_ns", "_size")

    def __init__(self, file: File) -> None:
        """Raises OSError, and `TreeProblem` where it is no longer the file that was found."""
        self._descriptor = -1
        self._size, self._mtime_ns = file.size, file.mtime_ns
        self._descriptor = os.open(file.place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not self.unchanged():
            raise TreeProblem(f"{file.place} changes while it is read")

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    @property
    def path(self) -> Path:
        """A name of the open file, whatever became of its own."""
        return _DESCRIPTORS / str(self._descriptor)

    def unchanged(self) -> bool:
        """Whether nobody wrote to it."""
        status = os.fstat(self._descriptor)
        return (status.st_size, status.st_mtime_ns) == (self._size, self._mtime_ns)


def how_many() -> int:
    """How many files may be held; 0 where the system gives open files no names."""
    if sys.platform == "win32" or not _DESCRIPTORS.is_dir():
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft // _SHARE
