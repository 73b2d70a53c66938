"""Load from wrk: starts it, and reads what it measured."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.machine import on_core
from bench.servers import BenchProblem

CONNECTIONS = 64
PATIENCE = 10
"""Seconds that wrk waits for an answer: a machine that does other work too is no reason to stop."""

INSTALL = "the bench needs wrk, from your system's packages: apt-get install wrk"

# wrk's own report is for people; `done` gives the same figures to us
_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "micros": %d, "p99_micros": %d, "statuses": %d, "broken": %d}',
    summary.requests, summary.duration, latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""

# every request is made before the clock starts
_TURNS = """
local requests, turn = {}, 0
init = function(args)
  for i, cookie in ipairs(cookies) do
    wrk.headers["Cookie"] = cookie
    requests[i] = wrk.format()
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What the other end of the wire saw."""

    requests: int
    seconds: float
    p99_ms: float


def check() -> None:
    """Raises `BenchProblem` where a program is missing."""
    if shutil.which("wrk") is None:
        raise BenchProblem(INSTALL)


def write_script(file: Path, path: str, headers: dict[str, str], cookies: list[str]) -> None:
    """A wrk script that asks for `path`, with the cookies in turn."""
    # a JSON text of ASCII characters is a Lua text as well
    lines = [f"wrk.path = {json.dumps(path)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(headers[name])}" for name in headers]
    if len(cookies) == 1:
        lines.append(f'wrk.headers["Cookie"] = {json.dumps(cookies[0])}')
    else:
        lines.append("local cookies = {" + ",".join(map(json.dumps, cookies)) + "}" + _TURNS)
    file.write_text("\n".join([*lines, _REPORT]), "ascii")


def run(script: Path, port: int, *, seconds: int, core: int | None) -> Load:
    """One thread, 64 connections. Raises `BenchProblem` unless every answer was a good one."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={PATIENCE}s"]
    with on_core(core):
        done = subprocess.run(
            [*command, "-s", str(script), f"http://127.0.0.1:{port}/"],
            capture_output=True,
            text=True,
            timeout=seconds + 2 * PATIENCE,
            check=False,
        )
    _, brace, report = done.stdout.rpartition("{")
    if done.returncode or not brace:
        raise BenchProblem(f"wrk failed: {done.stderr or done.stdout}")
    figures = json.loads(brace + report)
    if figures["statuses"] or figures["broken"] or not figures["requests"]:
        raise BenchProblem(f"{script.stem}: not every request was answered well: {figures}")
    return Load(figures["requests"], figures["micros"] / 1e6, figures["p99_micros"] / 1000)
