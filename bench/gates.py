"""A real gate process, with settings as an operator would have them."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.machine import Cores
from bench.servers import CHECKOUT, START_SECONDS, Server, free_port, python, running

SERVE = python("gate", "serve", "--config")


@contextlib.contextmanager
def running_gate(
    folder: Path,
    site: Path,
    cores: Cores,
    verify: str,
    more: str = "",
    *,
    program: Sequence[str] = SERVE,
    checkout: Path = CHECKOUT,
    patience: float = START_SECONDS,
) -> Iterator[Server]:
    """The gate of a checkout while the context lasts. `verify` is the TOML of that section, `more`
    that of further ones; `program` is the command, which gets the configuration's name last."""
    port = free_port()
    config = folder / f"{port}.toml"
    config.write_text(f"""
[server]
port = {port}
public_url = "https://docs.example.com"
state_dir = {json.dumps(str(folder / f"{port}.state"))}
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
