"""What the operating system says of this process. Asking it takes system calls: not on the loop."""

import os
import sys
import time
from pathlib import Path

from gate.observe.metrics import Readings

if sys.platform != "win32":
    import resource

_SELF = Path("/proc/self")
_STARTED = time.time() - time.process_time()


def process_readings() -> Readings:
    """The process_* metrics, as far as this system has them."""
    found: dict[str, float] = {
        "process_cpu_seconds_total": time.process_time(),
        "process_start_time_seconds": _STARTED,
    }
    try:
        virtual, resident = map(int, (_SELF / "statm").read_text("ascii").split()[:2])
        page = os.sysconf("SC_PAGE_SIZE")
        found["process_virtual_memory_bytes"] = virtual * page
        found["process_resident_memory_bytes"] = resident * page
        found["process_open_fds"] = len(os.listdir(_SELF / "fd")) - 1  # less the one that looks
    except OSError:  # no Linux, or none left
        pass
    if sys.platform != "win32":
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY:
            found["process_max_fds"] = most
    return {name: {(): value} for name, value in found.items()}
