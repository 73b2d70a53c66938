"""`python -m bench`: what the gate costs, beside others. `python -m bench WHAT`: other figures.

Every bench prints a table with a verdict, and ends with 1 where a limit is not kept.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench import crowds, hanging, load, memory, misbehaviour, page, requests, results
from bench.faults import command as faults
from bench.faults import soak
from bench.machine import Cores, allow_open_files, cores, model
from bench.servers import CHECKOUT, BenchProblem

Bench = Callable[[Path, Path, Cores], bool]
LongBench = Callable[[Path, Path, Cores, argparse.Namespace], bool]

BENCHES: dict[str, tuple[Bench, str]] = {
    "verify": (misbehaviour.run, "a verify API that misbehaves: what readers get (½ minute)"),
    "memory": (memory.run, "a million random tokens, a million verdicts (4 minutes)"),
    "crowds": (crowds.run, "what a request costs among a million verdicts (4 minutes)"),
    "hanging": (hanging.run, "readers while the verify API hangs (1½ minutes)"),
}

LONG: dict[str, tuple[LongBench, str]] = {
    "faults": (faults.run, "what may go wrong around a gate, with people reading (6 minutes)"),
    "soak": (soak.run, "people who come and go, and what the gate keeps of them (½ hour)"),
}
"""Those with options of their own."""


def main() -> int:
    """Exit code 1 where something could not be measured, or a limit was not kept."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, _ended)
    if options.what == "page":
        page.write(results.load())
        return 0
    try:
        load.check()
        allow_open_files()
        with tempfile.TemporaryDirectory(prefix="gate-bench-") as name:
            folder, site = Path(name), Path(name) / "site"
            # a copy, so that a site built meanwhile changes nothing
            shutil.copytree(CHECKOUT / "site", site)
            if options.what == "requests":
                return 0 if requests.run(folder, site, options) else 1
            print(f"{model()}; {cores()}")
            if options.what in LONG:
                return 0 if LONG[options.what][0](folder, site, cores(), options) else 1
            return 0 if BENCHES[options.what][0](folder, site, cores()) else 1
    except BenchProblem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    told = {name: what for name, (_, what) in BENCHES.items()}
    told |= {name: what for name, (_, what) in LONG.items()}
    others = "; ".join(f"{name}: {what}" for name, what in told.items())
    parser = argparse.ArgumentParser(prog="bench", description=requests.__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        default="requests",
        choices=["requests", "page", *told],
        metavar="WHAT",
        help="requests, which has all of the options; page: docs/performance.md again, from what "
        f"was found last; {others}",
    )
    requests.add_options(parser)
    faults.add_options(parser)
    soak.add_options(parser)
    return parser


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    # unwinds the contexts that end the servers
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
