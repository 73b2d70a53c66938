"""The shared tier: can the gate reach its server, read there and write."""

from typing import Final

from gate.check.report import Diagnosis, Report
from gate.config.spelling import masked_url
from gate.shared.bulletin import NEWS
from gate.shared.gone import SharedGone, Trouble
from gate.shared.link import PACE, Linker

TEXTS: Final = {
    Trouble.SILENT: (
        "no answer within {found}",
        "look at the way between gate and server; with rediss:// look whether the port speaks TLS",
    ),
    Trouble.UNREACHABLE: (
        "no connection: {found}",
        "start the server, or correct host and port in [cache] shared_url",
    ),
    Trouble.NAME_UNKNOWN: (
        "its host has no address here",
        "correct the host in [cache] shared_url, or this machine's name service (DNS)",
    ),
    Trouble.TLS: (
        "{found}",
        "name the authority behind the address, ?ssl_ca_certs=FILE, and use a name that the"
        " certificate has; write redis:// if the server speaks no TLS",
    ),
    Trouble.PASSWORD: (
        "it does not take the name and password of the gate",
        "correct them in [cache] shared_url: redis://NAME:PASSWORD@HOST; in a password write"
        " @ : / ? # as %40 %3A %2F %3F %23",
    ),
    Trouble.FORBIDDEN: (
        "its user may not do what the gate needs: {found}",
        "allow that user keys and channels that begin with docs-gate: and the commands on them",
    ),
    Trouble.READ_ONLY: (
        "it takes no writes: {found}",
        "name the primary server and no replica, and look at its memory limit",
    ),
    Trouble.OTHER: (
        "it cannot be used: {found}",
        "look at the server's own log; it must be Redis or Valkey",
    ),
}


async def shared_tier(url: str, report: Report) -> None:
    """Connect, listen, write and read, as a running gate would."""
    place = f"shared server {masked_url(url)}"
    try:
        async with Linker(url, PACE).linked(NEWS) as link:
            await link.probe(PACE.connect)
    except SharedGone as problem:
        report.problem(_diagnosis(problem), place)
        return
    report.fine(f"{place}: reads and writes")


def _diagnosis(problem: SharedGone) -> Diagnosis:
    found = f"{PACE.connect:g} s" if problem.trouble is Trouble.SILENT else str(problem)
    return Diagnosis(problem.trouble.value, *TEXTS[problem.trouble]).with_facts({"found": found})
