"""What an image of the gate is: read from the Dockerfile, and from the wheel that it installs."""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from gate import __version__

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")

Instruction = tuple[str, str]


def stages() -> list[list[Instruction]]:
    """The instructions of each stage: name and arguments, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE).replace("\\\n", " ")
    found: list[list[Instruction]] = []
    for line in filter(str.strip, text.splitlines()):
        name, _, arguments = line.partition(" ")
        assert name.isupper(), line
        if name == "FROM":
            found.append([])
        found[-1].append((name, " ".join(arguments.split())))
    return found


def last(name: str) -> str:
    """The arguments of an instruction of the image, which must have exactly one of it."""
    (arguments,) = [arguments for found, arguments in stages()[-1] if found == name]
    return arguments


def environment() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=\"?([^\"\s]+)", last("ENV")))


# The Dockerfile


def test_the_image_is_built_in_stages_on_the_slim_python() -> None:
    bases = [arguments for stage in stages() for name, arguments in stage if name == "FROM"]
    assert bases == ["python:3.13-slim AS build", "python:3.13-slim"]


def test_no_base_has_a_tag_that_moves_at_will() -> None:
    assert "latest" not in DOCKERFILE
    assert "latest" not in COMPOSE


def test_the_image_takes_nothing_from_the_folder_it_is_built_in() -> None:
    copied = [arguments for name, arguments in stages()[-1] if name == "COPY"]
    assert copied == ["--from=build /opt/gate /opt/gate"]


def test_nothing_is_fetched_or_unpacked_by_add() -> None:
    assert "ADD" not in [name for stage in stages() for name, _ in stage]


def test_the_user_has_a_number_and_is_not_root() -> None:
    user, group = (int(number) for number in last("USER").split(":"))
    assert user >= 10_000
    assert group >= 10_000
    names = [name for name, _ in stages()[-1]]
    assert "RUN" not in names[names.index("USER") :]


@pytest.mark.parametrize(
    ("name", "command"), [("ENTRYPOINT", ["gate"]), ("CMD", ["serve"])], ids=["ENTRYPOINT", "CMD"]
)
def test_the_program_is_started_without_a_shell(name: str, command: list[str]) -> None:
    assert json.loads(last(name)) == command


def test_the_health_check_asks_the_gate_without_a_shell() -> None:
    options, _, command = last("HEALTHCHECK").partition(" CMD ")
    assert json.loads(command) == ["gate", "health"]
    seconds = int(dict(re.findall(r"--(\w+)=(\d+)s", options))["timeout"])
    assert seconds > 5, "gate.health waits this long itself"


def test_the_signal_that_stops_it_is_the_one_the_gate_listens_to() -> None:
    assert "STOPSIGNAL" not in [name for name, _ in stages()[-1]]  # so it is SIGTERM


def test_the_image_listens_on_every_interface_and_needs_no_file() -> None:
    assert {k: v for k, v in environment().items() if k.startswith("GATE_")} == {
        "GATE_SERVER__HOST": "0.0.0.0",
        "GATE_SERVER__STATE_DIR": "/var/lib/gate",
        "GATE_SITE__ROOT": "/site",
    }


def test_the_one_folder_that_is_written_to_is_a_volume_of_the_user() -> None:
    (folder,) = json.loads(last("VOLUME"))
    assert folder == environment()["GATE_SERVER__STATE_DIR"]
    user, group = last("USER").split(":")
    runs = [arguments for name, arguments in stages()[-1] if name == "RUN"]
    assert f"-m 0700 -o {user} -g {group} {folder}" in runs[0]


def test_python_leaves_no_bytecode_behind_and_needs_to_make_none() -> None:
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    names = [name for name, _ in stages()[-1]]
    assert ("RUN", "/opt/gate/bin/gate --version") in stages()[-1]
    assert names.index("ENV") > len(names) - 1 - names[::-1].index("RUN")


def test_there_is_no_secret_in_it() -> None:
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE)
    assert re.findall(r"(?i)secret|password|token|session|headers|--mount|\bARG\b", text) == []


# .dockerignore


def kept_out(path: str) -> bool:
    """Whether .dockerignore keeps a path out: the last pattern that fits it or a folder above."""
    out = False
    above = [path, *(str(parent) for parent in Path(path).parents)]
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        deep = pattern.removeprefix("**/")
        names = [Path(each).name for each in above] if deep != pattern else above
        if any(fnmatchcase(name, deep) for name in names if name not in ("", ".")):
            out = not line.startswith("!")
    return out


@pytest.mark.parametrize(
    "path",
    [
        ".env", ".git/config", ".gate/session.key", ".venv/bin/python", "config.toml",
        "deploy/secrets/GATE_SESSION__KEYS", "docs/index.md", "gate/.env", "gate/__pycache__/x.pyc",
        "gate/demo/__pycache__/x.pyc", "session.key", "tests/conftest.py", "tls.key",
    ],
)  # fmt: skip
def test_the_build_does_not_see(path: str) -> None:
    assert kept_out(path)


@pytest.mark.parametrize(
    "path",
    ["LICENSE", "README.md", "gate/cli.py", "gate/demo/start.py", "pyproject.toml", "site/a.html"],
)
def test_the_build_sees(path: str) -> None:
    assert not kept_out(path)


def test_the_build_takes_what_it_sees_and_no_more() -> None:
    copies = [arguments.split() for name, arguments in stages()[0] if name == "COPY"]
    taken = {name for *names, _ in copies for name in names}
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert taken == {line.removeprefix("!") for line in allowed if line.startswith("!")}
    assert all((ROOT / name).exists() for name in taken)


# deploy/compose.yaml


@pytest.mark.parametrize(
    "line",
    [
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "- ../site:/site:ro",
        "- state:/var/lib/gate",
    ],
)
def test_the_compose_file_says(line: str) -> None:
    assert line in [each.strip() for each in COMPOSE.splitlines()]


def test_the_compose_file_leaves_to_the_image_what_is_the_images() -> None:
    keys = re.findall(r"(?m)^\s*(\w+):", COMPOSE)
    assert not {"healthcheck", "user", "entrypoint", "command", "privileged"} & set(keys)


def test_secrets_of_the_compose_file_are_files_and_named_as_settings() -> None:
    files = dict(re.findall(r"(?m)^  (GATE_\w+__\w+):\n    file: (\S+)$", COMPOSE))
    assert files == {name: f"./secrets/{name}" for name in files}
    assert files
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


# What is built

BUILD = "import sys; from hatchling import build; getattr(build, sys.argv[1])(sys.argv[2])"


def make(what: str, folder: Path) -> Path:
    """Build it as pip would, without pip and without a network."""
    subprocess.run([sys.executable, "-c", BUILD, what, folder], cwd=ROOT, check=True)
    (made,) = folder.iterdir()
    assert __version__ in made.name
    return made


def test_the_wheel_carries_all_that_the_program_reads(tmp_path: Path) -> None:
    with zipfile.ZipFile(make("build_wheel", tmp_path)) as wheel:
        names = set(wheel.namelist())
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gate").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"gate/py.typed", "gate/templates/page.html", "gate/static/gate.css"} <= here
    assert {name for name in names if name.startswith("gate/demo/site/")} == {
        f"gate/demo/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "site").rglob("*")
        if path.is_file()
    }
    rest = {name for name in names if not name.startswith("gate/demo/site/")}
    assert {name for name in rest if ".dist-info/" not in name} == here


def test_the_source_archive_has_what_builds_and_tests_the_wheel(tmp_path: Path) -> None:
    with tarfile.open(make("build_sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Dockerfile", "LICENSE", "README.md", "config.toml", "gate/cli.py", "pyproject.toml"}
    assert wanted <= names
    assert {"site/index.html", "tests/conftest.py", "docs/index.md"} <= names
    assert not {name for name in names if name.startswith((".git/", ".venv", "deploy/secrets"))}
