"""What slowhttptest makes of the gate: clients that are slow in four ways, and its own verdict
whether the service was available meanwhile."""

import asyncio
import re
import shutil
import subprocess
from collections import Counter

from bench.faults.crowd import new_token, sign_in
from bench.faults.trial import Row, Stage, warm
from bench.servers import BenchProblem

CONNECTIONS, SECONDS = 900, 20
"""One address may have 1,000, and slowhttptest looks from its own whether the service is there."""

MODES = {
    "headers": ("-H", "-i", "1"),
    "body": ("-B", "-i", "1", "-s", "8192"),
    "range": ("-R", "-a", "1", "-b", "3000"),
    "read": ("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "3"),
}
"""A header a second; a piece of a body a second; 3,000 ranges; 32 bytes a second read."""

_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


async def slowhttp(stage: Stage, name: str) -> Row:
    """One of the modes, with the cookie of a reader where that gets it further."""
    program = shutil.which("slowhttptest")
    if program is None:
        raise BenchProblem("slowhttptest is needed: apt-get install slowhttptest")
    with stage.api() as (_, verify), stage.gate(verify) as gate:
        crowd = await warm(stage, gate, source="127.0.0.2")
        cookie = await sign_in(gate.port, new_token(), "127.0.0.2")
        before = gate.memory
        path = "/-/session" if name == "body" else "/"
        url = f"http://127.0.0.1:{gate.port}{path}"
        fixed = ["-c", str(CONNECTIONS), "-r", "200", "-l", str(SECONDS), "-p", "3", "-u", url]
        async with crowd.busy():
            process = await asyncio.create_subprocess_exec(
                program, *fixed, *MODES[name], "-j", cookie, stdout=subprocess.PIPE
            )
            written, _ = await process.communicate()
        await asyncio.sleep(0.5)
        after = gate.memory
    told = _TERMINAL.sub("", written.decode("utf-8", "replace"))
    available = Counter(re.findall(r"service available:\s+(YES|NO)", told))
    ended = re.search(r"Test ended on (\d+)\w+ second\s+Exit status:\s*(.*)", told)
    if ended is None or not available:
        raise BenchProblem(f"slowhttptest did not do its work: {told[-300:]}")
    return Row(
        f"slowhttptest {MODES[name][0]}: slow {name}",
        f"available in {available['YES']} of {available.total()} looks; "
        f"after {ended[1]} s: {ended[2].strip().lower()}",
        crowd.tally,
        (before, after),
        ["not available"] if available["NO"] else [],
        most_growth=32 << 20,
    )
