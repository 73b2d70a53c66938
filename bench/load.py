"""Load from wrk: starts it, and reads what it measured."""

import json
import shutil
import subprocess
from collections.abc import Sequence
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

# tokens are picked at random, so that no two runs bring the same ones in the same order
_STRANGERS = """
math.randomseed(seed)
request = function()
  local token = {"Bearer "}
  for i = 2, 5 do token[i] = string.format("%08x", math.random(0, 4294967295)) end
  wrk.headers["Authorization"] = table.concat(token)
  return wrk.format()
end
"""

_BEARERS = """
math.randomseed(os.time())
request = function()
  wrk.headers["Authorization"] = "Bearer " .. string.format(form, math.random(0, count - 1))
  return wrk.format()
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


def write_script(file: Path, path: str, headers: dict[str, str], cookies: Sequence[str]) -> None:
    """A wrk script that asks for `path`, with the cookies in turn."""
    lines = _head(path, headers)
    if len(cookies) == 1:
        lines.append(f'wrk.headers["Cookie"] = {json.dumps(cookies[0])}')
    else:
        lines.append("local cookies = {" + ",".join(map(json.dumps, cookies)) + "}" + _TURNS)
    file.write_text("\n".join([*lines, _REPORT]), "ascii")


def write_strangers(file: Path, path: str, headers: dict[str, str], seed: int) -> None:
    """A wrk script that brings a token nobody has seen with every request."""
    file.write_text("\n".join([*_head(path, headers), f"seed = {seed}", _STRANGERS, _REPORT]))


def write_bearers(file: Path, path: str, headers: dict[str, str], form: str, count: int) -> None:
    """A wrk script that brings one of `count` tokens with every request, any of them; `form` makes
    a token of a number, in the manner of printf."""
    given = [f"form, count = {json.dumps(form)}, {count}"]
    file.write_text("\n".join([*_head(path, headers), *given, _BEARERS, _REPORT]))


def _head(path: str, headers: dict[str, str]) -> list[str]:
    # a JSON text of ASCII characters is a Lua text as well
    named = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(headers[name])}" for name in headers]
    return [f"wrk.path = {json.dumps(path)}", *named]


def run(script: Path, port: int, *, seconds: int, core: int | None, refused: bool = False) -> Load:
    """One thread, 64 connections. Raises `BenchProblem` unless every answer was a good one, or,
    where `refused`, unless none was."""
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
    due = figures["requests"] if refused else 0
    if figures["statuses"] != due or figures["broken"] or not figures["requests"]:
        raise BenchProblem(f"{script.stem}: not every request was answered well: {figures}")
    return Load(figures["requests"], figures["micros"] / 1e6, figures["p99_micros"] / 1000)
