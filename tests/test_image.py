"""The image itself: the real Dockerfile over a stand-in for its base, and what runs in it."""

import asyncio
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import pytest

from gate import __version__
from tests.base_image import make_root
from tests.processes import ROOT, Process, free_ports
from tests.test_container import stages

USER = 10001
BASES = {arguments.split()[0] for stage in stages() for _, arguments in stage[:1]}

pytestmark = [
    pytest.mark.skipif(
        not shutil.which("buildah") or os.geteuid() != 0,
        reason="builds an image: wants buildah (apt install buildah), and root",
    ),
    pytest.mark.timeout(400),  # the build fetches what the lock names
]


@dataclass(frozen=True)
class Buildah:
    """buildah without a daemon, registries and rights beyond root's, all of it in one folder."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        store, run = self.folder / "store", self.folder / "run"
        where = ["--root", str(store), "--runroot", str(run), "--storage-driver", "vfs"]
        return ["buildah", *where, *arguments]

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout.strip()

    def build(self, file: Path, context: Path, name: str) -> None:
        policy = self.folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        # docker's format: the other one has no health check
        self(
            "build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--quiet",
            "--signature-policy", str(policy), "--file", str(file), "--tag", name, str(context),
        )  # fmt: skip


@dataclass(frozen=True)
class Container:
    """A container of the image, in which one command after the other may run."""

    buildah: Buildah
    name: str
    folder: Path

    def run(self, *arguments: str, **environ: str) -> list[str]:
        """The command line that runs something, as the image says."""
        more = [part for name, value in environ.items() for part in ("--env", f"{name}={value}")]
        more += ["--volume", f"{ROOT / 'site'}:/site:ro"]
        isolated = ("run", "--isolation", "chroot", *more, self.name, "--", *arguments)
        return self.buildah.command(*isolated)

    def written(self) -> set[str]:
        """What in it belongs to the image's user."""
        found = (path for path in self.folder.rglob("*") if path.lstat().st_uid == USER)
        return {f"/{path.relative_to(self.folder)}" for path in found}


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    folder = tmp_path_factory.mktemp("buildah")
    yield Buildah(folder)
    shutil.rmtree(folder, ignore_errors=True)  # copies of whole root file systems


@pytest.fixture(scope="module")
def image(buildah: Buildah) -> str:
    """The name of the built image."""
    make_root(buildah.folder / "base")
    recipe = buildah.folder / "Base"
    recipe.write_text("FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n")
    (base,) = BASES
    buildah.build(recipe, buildah.folder / "base", f"docker.io/library/{base}")
    buildah.build(ROOT / "Dockerfile", ROOT, "docs-gate")
    return "docs-gate"


@pytest.fixture(scope="module")
def settings(buildah: Buildah, image: str) -> dict[str, Any]:
    """What the image says of itself, as a container's host reads it."""
    found = json.loads(buildah("inspect", "--type", "image", image))
    config: dict[str, Any] = found["Docker"]["config"]
    return config


@pytest.fixture(scope="module")
def container(buildah: Buildah, image: str) -> Iterator[Container]:
    name = buildah("from", "--pull-never", image)
    yield Container(buildah, name, Path(buildah("mount", name)))
    buildah("umount", name)


def test_what_the_dockerfile_says_is_in_the_image(settings: dict[str, Any]) -> None:
    assert settings["User"] == f"{USER}:{USER}"
    assert settings["Entrypoint"] + settings["Cmd"] == ["gate", "serve"]
    assert settings["Healthcheck"]["Test"] == ["CMD", "gate", "health"]
    assert settings["WorkingDir"] == "/etc/gate"
    assert list(settings["Volumes"]) == ["/var/lib/gate"]
    assert list(settings["ExposedPorts"]) == ["8080/tcp"]


def test_nothing_in_it_is_the_users_but_the_folder_for_its_state(container: Container) -> None:
    state = (container.folder / "var/lib/gate").stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (USER, USER, 0o700)
    assert container.written() == {"/var/lib/gate"}


def test_it_holds_the_lock_and_the_gate_and_nothing_else(container: Container) -> None:
    script = (
        "from importlib.metadata import distributions\n"
        "for d in distributions(): print(d.name, d.version)"
    )
    told = subprocess.run(
        container.run("/opt/gate/bin/python", "-I", "-c", script),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = told.stdout.lower().replace("_", "-").split("\n")
    assert f"docs-gate {__version__}" in lines
    locked = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = {" ".join(line.split()[0].split("==")) for line in locked if line[:1].isalpha()}
    assert {line for line in lines if line} == {*pins, f"docs-gate {__version__}"}


@asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[Process]:
    process = Process(await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE))
    try:
        yield process
    finally:
        if process.process.returncode is None:
            os.kill(inmost(process.process.pid), SIGKILL)
        await process.ended()


def inmost(pid: int) -> int:
    """The process that buildah's own processes run."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for each in lists for child in each.read_text().split()]
    return inmost(children[0]) if children else pid


async def test_it_serves_is_healthy_writes_nothing_else_and_stops_when_told(
    container: Container, settings: dict[str, Any]
) -> None:
    (port,) = free_ports(1)  # the host's own network
    environ = {"GATE_SERVER__PORT": str(port), "GATE_VERIFY__URL": "http://127.0.0.1:9/verify"}
    command = container.run(*settings["Entrypoint"], *settings["Cmd"], **environ)
    health = container.run(*settings["Healthcheck"]["Test"][1:], **environ)
    async with running(command) as serving:
        assert await serving.port() == port
        async with running(health) as asked:
            assert (await asked.ended(), asked.out) == (0, "healthy\n")
        os.kill(inmost(serving.process.pid), SIGTERM)  # as a container's host does
        assert await serving.ended() == 0
    async with running(health) as asked:
        assert await asked.ended() == 1
    assert "Traceback" not in serving.err
    assert container.written() == {"/var/lib/gate"}
