"""The `gate` command as a process, for what only a process shows: signals, streams, exit codes."""

import asyncio
import os
import re
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM, Signals
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0
"""Seconds after which a process that says nothing fails the test: many times what it takes."""

SERVING = r"serving .* on (https?)://\S+?:(\d+)\n"

Target = int | IO[bytes]


class Process:
    """A running command. What it prints is read all the while, into `out` and `err`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = self.err = ""
        self._news = asyncio.Event()
        self._readers = [
            asyncio.create_task(self._read(stream, name))
            for stream, name in ((process.stdout, "out"), (process.stderr, "err"))
            if stream is not None
        ]

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        while chunk := await stream.read(65536):
            setattr(self, name, getattr(self, name) + chunk.decode("utf-8", "backslashreplace"))
            self._news.set()
        self._news.set()

    async def said(self, pattern: str, where: str = "err") -> re.Match[str]:
        """Wait until it has printed what matches."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._news.clear()
                found = re.search(pattern, getattr(self, where))
                if found:
                    return found
                assert not all(reader.done() for reader in self._readers), (
                    f"ended without {pattern!r}: {self.out}{self.err}"
                )
                await self._news.wait()

    async def port(self) -> int:
        """The port it serves on, once it does."""
        return int((await self.said(SERVING))[2])

    def send(self, which: Signals) -> None:
        self.process.send_signal(which)

    async def ended(self) -> int:
        """Wait for its end; the exit code, or the signal that killed it as a negative number."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._readers)
            return await self.process.wait()

    async def stop(self, which: Signals = SIGTERM) -> int:
        self.send(which)
        return await self.ended()


@asynccontextmanager
async def gate_process(
    *arguments: str,
    cwd: Path,
    stdout: Target = PIPE,
    stderr: Target = PIPE,
    before: str = "",
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """`python -m gate` with these arguments; killed at the end if it still runs.

    `before` is a piece of shell that starts it: `exec "$@" >&-` closes its standard output.
    """
    command = [sys.executable, "-m", "gate", *arguments]
    if before:
        command = ["sh", "-c", before, "sh", *command]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        env=environment(**(environ or {})),
    )  # fmt: skip
    running = Process(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await running.ended()


def environment(**more: str) -> dict[str, str]:
    """Ours without settings of a gate, and with what the test adds."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GATE_")}
    fixed = {
        "PYTHONPATH": str(ROOT),
        "GATE_SECRETS_DIR": "/nowhere",
        "SSL_CERT_FILE": os.devnull,  # reading all the authorities takes time
    }
    return {**ours, **fixed, **more}


async def run_gate(*arguments: str, cwd: Path, **options: Any) -> tuple[int, str, str]:
    """Run a command to its end: exit code, standard output, standard error."""
    async with gate_process(*arguments, cwd=cwd, **options) as process:
        code = await process.ended()
        return code, process.out, process.err


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def write_config(folder: Path, *, root: Path, verify: str, more: str = "") -> Path:
    """A config.toml for a gate on any free port; `more` is TOML, from inside `[server]` on."""
    path = folder / "config.toml"
    path.write_text(
        f'[site]\nroot = "{root}"\n[verify]\nurl = "{verify}"\n[server]\nport = 0\n{more}\n'
    )
    return path
