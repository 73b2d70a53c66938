"""Writes the scripts for wrk: each says byte for byte what is sent, as a browser would send it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

# wrk's own report is for people; `done` gives the same figures to us
_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "micros": %d, "p50_micros": %d, "p99_micros": %d, "statuses": %d, ' ..
    '"broken": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""

# cookies lie in a file of their own: a Lua program may not name as many texts as there are readers
_READING = """
local cookies, step = {}, 0
for line in io.lines(file) do cookies[#cookies + 1] = line end
math.randomseed(os.time())
local turn = math.random(#cookies)  -- not the same first ones in every round
request = function()
  step = step % #heads + 1
  if step == 1 then turn = turn % #cookies + 1 end
  return heads[step] .. cookies[turn] .. tails[step]
end
"""

# whoever was sent on with a cookie reads the page next, before another one comes
_VISITS = """
math.randomseed(os.time())
local cookies, first, last = {}, 1, 0
request = function()
  if first <= last then
    local cookie = cookies[first]
    cookies[first] = nil
    first = first + 1
    return heads[1] .. cookie .. tails[1]
  end
  local token = {}
  for i = 1, 4 do token[i] = string.format("%08x", math.random(0, 4294967295)) end
  return before .. table.concat(token) .. after
end
response = function(status, headers, body)
  if status == 303 then
    last = last + 1
    cookies[last] = string.match(headers["Set-Cookie"], "^[^;]+")
  end
end
"""

# tokens are picked at random, so that no two runs bring the same ones in the same order
_STRANGERS = """
math.randomseed(seed)
request = function()
  local token = {}
  for i = 1, 4 do token[i] = string.format("%08x", math.random(0, 4294967295)) end
  return before .. table.concat(token) .. after
end
"""

_BEARERS = """
math.randomseed(os.time())
request = function()
  return before .. string.format(form, math.random(0, count - 1)) .. after
end
"""

Asked = tuple[str, Mapping[str, str]]


def write_reading(file: Path, asked: Sequence[Asked], cookies: Sequence[str]) -> None:
    """Each of the readers asks for everything in order, then the next one does."""
    beside = file.with_suffix(".cookies")
    beside.write_text("".join(f"{cookie}\n" for cookie in cookies), "ascii")
    _write(file, [*_parts(asked), f"local file = {json.dumps(str(beside))}", _READING])


def write_visits(file: Path, page: Asked) -> None:
    """A reader whom nobody knows brings a token with every second request."""
    _write(file, [*_parts([page]), *_with_token(page), _VISITS])


def write_strangers(file: Path, page: Asked, seed: int) -> None:
    """Every request brings a Bearer token that nobody has seen."""
    _write(file, [*_bearing(page), f"local seed = {seed}", _STRANGERS])


def write_bearers(file: Path, page: Asked, form: str, count: int) -> None:
    """Every request brings one of `count` tokens, any of them; `form` makes a token of a number, in
    the manner of printf."""
    _write(file, [*_bearing(page), f"local form, count = {json.dumps(form)}, {count}", _BEARERS])


def request(path: str, headers: Mapping[str, str], cookie: str | None = None) -> str:
    """A whole GET request; conditions stand behind the cookie, as in Chromium's."""
    cut = request_around_cookie(path, headers)
    return cut[0] + cookie + cut[1] if cookie is not None else _head(path, headers) + "\r\n"


def request_around_cookie(path: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """What stands before a cookie's value, and behind it."""
    condition = headers.get("If-None-Match")
    before = {name: value for name, value in headers.items() if name != "If-None-Match"}
    behind = f"If-None-Match: {condition}\r\n" if condition else ""
    return _head(path, before) + "Cookie: ", f"\r\n{behind}\r\n"


def _head(path: str, headers: Mapping[str, str]) -> str:
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in lines)


def _parts(asked: Sequence[Asked]) -> list[str]:
    cut = [request_around_cookie(*each) for each in asked]
    heads, tails = ([pair[place] for pair in cut] for place in (0, 1))
    return [f"local heads, tails = {_texts(heads)}, {_texts(tails)}"]


def _bearing(page: Asked) -> list[str]:
    path, headers = page
    before, after = _head(path, headers) + "Authorization: Bearer ", "\r\n\r\n"
    return [f"local before, after = {json.dumps(before)}, {json.dumps(after)}"]


def _with_token(page: Asked) -> list[str]:
    """Before and behind a token in the address."""
    path, headers = page
    before, after = f"GET {path}?token=", _head("", headers).removeprefix("GET ") + "\r\n"
    return [f"local before, after = {json.dumps(before)}, {json.dumps(after)}"]


def _texts(texts: Sequence[str]) -> str:
    # a JSON text of ASCII characters is a Lua text as well
    return "{" + ", ".join(map(json.dumps, texts)) + "}"


def _write(file: Path, lines: Sequence[str]) -> None:
    file.write_text("\n".join([*lines, _REPORT]), "ascii")
