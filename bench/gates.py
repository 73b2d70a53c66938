"""A real gate process, with settings as an operator would have them."""

import contextlib
import http.client
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.machine import Cores
from bench.servers import CHECKOUT, START_SECONDS, Server, ask, free_port, python, running

_FILL_SECONDS = 900.0

SERVE = python("gate", "serve", "--config")


@contextlib.contextmanager
def running_gate(
    folder: Path,
    site: Path,
    cores: Cores,
    verify: str,
    more: str = "",
    *,
    server_more: str = "",
    program: Sequence[str] = SERVE,
    checkout: Path = CHECKOUT,
    patience: float = START_SECONDS,
    port: int = 0,
) -> Iterator[Server]:
    """The gate of a checkout while the context lasts. `verify` is the TOML of that section, `more`
    that of further ones, `server_more` more of [server]; `program` is the command, which
    gets the configuration's name last. `port` is one that a gate had before, whose state this one
    then has as well."""
    port = port or free_port()
    config = folder / f"{port}.toml"
    config.write_text(f"""
[server]
port = {port}
public_url = "https://docs.example.com"
state_dir = {json.dumps(str(folder / f"{port}.state"))}
connections_per_address = 0 # one client stands for thousands of readers
{server_more}
[site]
root = {json.dumps(str(site))}
[verify]
{verify}
[frame]
allowed_origins = ["https://portal.example.com"]
{more}
""")
    command = [*program, str(config)]
    with running(
        command, port, folder=folder, cores=cores, checkout=checkout, patience=patience
    ) as server:
        yield server


@contextlib.contextmanager
def warm_gate(
    folder: Path, site: Path, cores: Cores, *, verdicts: int, cookies: int, cache: str
) -> Iterator[tuple[Server, list[str]]]:
    """A gate that remembers `verdicts`, with the cookies of some of their readers; `cache` is the
    TOML of that section."""
    verify = 'url = "http://127.0.0.1:1/nobody-is-asked"'
    program = python("bench.warm_gate", str(verdicts), str(cookies))
    with running_gate(
        folder, site, cores, verify, f"[cache]\n{cache}", program=program, patience=_FILL_SECONDS
    ) as server:
        # it listens before it has filled its memory
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_FILL_SECONDS)
        with contextlib.closing(connection):
            ask(connection, "/-/healthz", {})
        found = json.loads((folder / f"{server.port}.cookies").read_text("ascii"))
        yield server, found
