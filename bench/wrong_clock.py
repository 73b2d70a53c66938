"""`gate serve` whose wall clock is wrong by as much as a file says:
`python -m bench.wrong_clock FILE CONFIG`.

Everything in the process that asks Python for the time is told so. The monotonic clock is right, as
it is when somebody sets a machine's clock. (faketime does the same from outside, but while it reads
a file, its wait for the interpreter's lock keeps that lock's own mutex: now and then one thread of
the gate shut out the other for more than ten seconds.)
"""

import mmap
import runpy
import struct
import sys
import time
from pathlib import Path

_SECONDS = struct.Struct("d")


def set_offset(file: Path, seconds: float) -> None:
    """Say how wrong the clock is: negative, and it is slow. Holds at once."""
    with file.open("r+b" if file.exists() else "wb") as written:
        written.write(_SECONDS.pack(seconds))


def main() -> None:
    """Serve until ended."""
    file, config = sys.argv[1:]
    right = time.time
    with open(file, "rb") as opened:
        offset = mmap.mmap(opened.fileno(), _SECONDS.size, prot=mmap.PROT_READ)

    def wrong() -> float:
        return right() + float(_SECONDS.unpack_from(offset)[0])

    time.time = wrong
    sys.argv = ["gate", "serve", "--config", config]
    runpy.run_module("gate", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
