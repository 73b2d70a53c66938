"""The machine: which cores there are, and what processor time and memory a process has used."""

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
# fields of proc(5)'s stat behind the command's closing bracket, which may itself hold spaces
_PARENT, _USER, _SYSTEM = 1, 11, 12


@dataclass(frozen=True, slots=True)
class Cores:
    """Where programs run: the server measured alone on a core, everything else beside it.

    Both are None on a machine with one core, or one that lets us choose none.
    """

    server: int | None
    load: int | None

    def __str__(self) -> str:
        if self.server is None:
            return "server and load share what cores there are"
        return f"server on core {self.server}, load on core {self.load}"


def cores() -> Cores:
    """Two of the cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1]) if len(usable) > 1 else Cores(None, None)


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside runs on that core alone, with every thread that it starts."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process with all its threads, user and system, since its start."""
    fields = _stat(pid)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS


def family(pid: int) -> list[int]:
    """The process, and those that it and they started."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                parents[int(folder.name)] = int(_stat(int(folder.name))[_PARENT])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _stat(pid: int) -> list[str]:
    stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    return stat.rpartition(")")[2].split()


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """Bytes of memory that a process had at most since `forget_peak`, or since its start."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let `peak` count from now on (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"process {pid} has no {field}")


def allow_open_files() -> None:
    """As many open files as this user may have, for us and whatever we start."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def model() -> str:
    """The processor's name, for the head of a table."""
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "unknown processor"
