"""Large bodies, in memory that the kernel sends from by itself: to copy a megabyte into a socket
costs more than all the rest of an answer.
"""

import os
import sys
from collections import OrderedDict
from contextlib import suppress
from typing import Final

MOST: Final = 32 << 20
"""Bytes of copies in all, beside the memory of the site; those not sent for longest go first."""

LARGEST: Final = 4 << 20
"""Bytes of one, whose copy is made while nobody else is served: 2 ms."""

POSSIBLE: Final = sys.platform == "linux"


class Sheet:
    """A large body."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __len__(self) -> int:
        return len(self.body)


class Sheets:
    """The copies of bodies that are read."""

    def __init__(self) -> None:
        self._copies: OrderedDict[Sheet, int] = OrderedDict()
        self._bytes = 0

    def __del__(self) -> None:
        self.clear()

    def send(self, sheet: Sheet, socket: int) -> int:
        """Hand to a socket, by its descriptor, as much as it takes now; says how many bytes that
        is. Raises nothing: whoever writes the rest meets what is wrong."""
        with suppress(OSError):
            return os.sendfile(socket, self._copy(sheet), 0, len(sheet))
        return 0

    def clear(self) -> None:
        """Let go of all."""
        while self._copies:
            self._drop()

    def _copy(self, sheet: Sheet) -> int:
        copy = self._copies.get(sheet)
        if copy is not None:
            self._copies.move_to_end(sheet)
            return copy
        copy = os.memfd_create("docs-gate")
        self._copies[sheet] = copy
        self._bytes += len(sheet)
        while self._bytes > MOST:
            self._drop()
        with open(copy, "wb", closefd=False) as file:
            file.write(sheet.body)
        return copy

    def _drop(self) -> None:
        sheet, copy = self._copies.popitem(last=False)
        self._bytes -= len(sheet)
        os.close(copy)
