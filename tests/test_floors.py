"""Imports go down: every room stands on a floor and knows only what lies below it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.processes import ROOT, environment

FLOORS = [
    # what knows nothing of ours
    ["gate", "clocks", "outcome", "tokens", "cache", "readiness", "forms", "proxies", "trace"],
    ["verify", "verify.cause", "verify.strict_json", "verify.breaker", "verify.faults"],
    ["verify.listener"],
    ["observe", "observe.floods", "observe.writer", "observe.level", "observe.histogram"],
    ["observe.requests", "observe.families", "observe.metrics", "observe.process"],
    ["observe.history", "observe.problems", "observe.charts", "observe.plain"],
    ["observe.snapshots", "credential"],
    ["site", "site.media", "site.negotiation", "site.tree", "site.inline_scripts", "site.haste"],
    ["site.held"],
    ["state", "state.journal"],
    # the settings, and what is wrong with them
    ["shared", "shared.url", "shared.gone", "verify.jose", "verify.jose.keys"],
    ["config", "config.spelling", "config.urls", "config.findings", "config.section"],
    ["config.csp", "config.rules", "config.sign_in", "config.settings"],
    ["config.preset_soundness", "config.sign_in_soundness", "config.soundness", "config.load"],
    # what the settings open
    ["site.encodings", "site.content", "site.index", "site.policy", "site.policies", "site.record"],
    ["site.making", "site.current", "site.references", "site.watch"],
    ["state.keys", "state.revocations"],
    [
        "scope",
        "behalf",
        "seal",
        "session",
        "headers",
        "limits",
        "demo",
        "demo.phone",
        "demo.portal",
    ],
    ["languages", "wording", "brand", "pages"],
    # who is asked about a token
    ["verify.judge", "verify.client", "verify.api", "verify.introspection"],
    ["verify.jose.refusal", "verify.jose.sources", "verify.jose.verifier", "verify.presets"],
    ["shared.envelope", "shared.link", "shared.bulletin", "shared.verdicts", "shared.tier"],
    # the decision, and the corridor around it
    ["access", "intake", "cookieless", "observe.access_log"],
    ["sign_in", "sign_in.counts"],
    ["observe.verifications", "observe.collector", "observe.spans", "observe.status_page"],
    ["answers", "serving", "manner"],
    ["admission", "entrance", "middleware", "handlers", "operations", "embed", "forward_auth"],
    ["monitoring", "watching"],
    ["connections"],
    ["door", "door.reading", "door.permits", "door.sheets", "door.hot", "door.door"],
    # signing in without a portal
    ["sign_in.progress", "sign_in.asking", "sign_in.device", "sign_in.custom"],
    ["sign_in.qr", "sign_in.flow", "sign_in.neighbours", "sign_in.flows", "sign_in.cookie"],
    ["sign_in.wanted"],
    ["sign_in.pages", "sign_in.surroundings", "sign_in.offers", "sign_in.events"],
    ["sign_in.handlers", "sign_in.wiring"],
    ["parts", "app", "runner"],
    ["certificates", "doors", "workers", "listening", "signals"],
    ["start", "reload", "server", "health", "demo.start"],
    ["check", "check.report", "check.mask", "check.ear", "check.causes", "check.facts"],
    ["check.verdicts", "check.shape", "check.verify_api", "check.jwts", "check.surroundings"],
    ["check.shared"],
    ["check.examine"],
    ["cli"],
    ["__main__"],
]
"""Low to high; on one floor a room may import from those left of it."""

ORDER = [room for floor in FLOORS for room in floor]
GRAB_BAGS = {"utils", "util", "helpers", "common", "errors", "exceptions", "types", "const"}


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "gate").with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".") or "gate"


ROOMS = {room_of(path): path for path in sorted((ROOT / "gate").rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """The rooms that a file imports, wherever in it and however it spells that."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            # `from gate import x` and `from gate.x import y` may both name a room last
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "gate":
                yield nearest_room(name)


def nearest_room(name: str) -> str:
    """`gate.state.keys.KeyProblem` is of the room `state.keys`."""
    parts = name.split(".")[1:]
    rooms = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((room for room in rooms if room in ROOMS), "gate")


def test_every_room_stands_on_one_floor() -> None:
    assert sorted(ORDER) == sorted(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_from_below(room: str) -> None:
    above = {each for each in imports(ROOMS[room]) if ORDER.index(each) >= ORDER.index(room)}
    assert not above


@pytest.mark.parametrize(
    "line",
    [
        "import gate.cli",
        "from gate import cli",
        "from gate.cli import main",
        "import gate.cli as c",
    ],
)
def test_no_spelling_of_an_import_is_overlooked(tmp_path: Path, line: str) -> None:
    path = tmp_path / "room.py"
    path.write_text(f"def f():\n    {line}\n")
    assert list(imports(path)) == ["cli"]


def test_the_demos_portal_knows_nothing_of_the_gate() -> None:
    portal = ["demo", "demo.phone", "demo.portal"]
    assert {each for room in portal for each in imports(ROOMS[room])} <= {*portal}


def test_no_room_is_a_grab_bag() -> None:
    assert not GRAB_BAGS & {part for room in ROOMS for part in room.split(".")}


@cache
def below(room: str) -> frozenset[str]:
    """The rooms that a room imports, with all that those import, and the packages around them."""
    parts = room.split(".")
    around = {".".join(parts[:length]) for length in range(1, len(parts))} | {"gate"} - {room}
    direct = frozenset(around | {*imports(ROOMS[room])} - {room})
    return direct.union(*map(below, direct))


ALONE = """
import importlib, sys
made = {}
for each in sys.argv[1:]:
    name, *allowed = each.split(",")
    for other in made:
        sys.modules.pop(other, None)
        parent, _, last = other.rpartition(".")
        made[parent or other].__dict__.pop(last, None)
    for other in allowed:
        sys.modules[other] = made[other]
        parent, _, last = other.rpartition(".")
        if parent:
            setattr(made[parent], last, made[other])
    made[name] = importlib.import_module(name)
"""


def named(room: str) -> str:
    return "gate" if room == "gate" else f"gate.{room}"


def test_every_room_imports_alone() -> None:
    """One process, in which each finds those rooms that it imports, and no other."""
    rooms = [",".join(map(named, [room, *sorted(below(room), key=ORDER.index)])) for room in ORDER]
    ended = subprocess.run(
        [sys.executable, "-c", ALONE, *rooms],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
