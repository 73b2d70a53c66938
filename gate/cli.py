"""The `gate` command: the only place that prints for people and chooses exit codes.

0 fine; 1 the check found a problem or the server failed; 2 the configuration or the command line is
wrong, and nothing was started.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gate import __version__, check, health
from gate.config import ConfigError, load
from gate.demo import start as demo
from gate.keys import new_key
from gate.server import (
    ServeProblem,
    StartProblem,
    address,
    logging_to_standard_error,
    prepare,
    run,
    serve,
)
from gate.settings import Settings
from gate.writer import LineWriter

FINE, PROBLEM, WRONG = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (ConfigError, StartProblem) as problem:
        _complain(str(problem))
        return WRONG
    except ServeProblem as problem:
        _complain(f"gate: {problem}")
        return PROBLEM
    except KeyboardInterrupt:
        return FINE
    return code


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gate",
        description="Serve confidential documentation inside a portal's frame.",
    )
    parser.add_argument("--version", action="version", version=f"gate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("serve", _serve, "serve the site"),
        ("check", _check, "read the configuration, ask the verify API, say what will not work"),
        ("health", _health, "ask the running gate how it is, for a container's health check"),
    ):
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--config", type=Path, metavar="FILE", help="default: config.toml")
        added.set_defaults(run=command)
        if name == "check":
            added.add_argument("--token", metavar="TOKEN", help="a token that should be good")
    key = commands.add_parser("new-key", help="print a fresh key for [session] keys")
    key.set_defaults(run=_new_key)
    _add_demo(commands.add_parser("demo", help="show everything: a portal, its verify API, docs"))
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=8080, help="of the gate (8080)")
    parser.add_argument("--portal-port", type=_port, default=8081, help="of the portal (8081)")
    parser.set_defaults(run=_demo)


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def _settings(options: argparse.Namespace) -> Settings:
    return load(options.config, os.environ)


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    with logging_to_standard_error(settings.log.level):
        prepared = prepare(settings)
        output = LineWriter(sys.stdout.fileno())
        try:
            run(serve(prepared, output))
        finally:
            output.close()
    return FINE


def _check(options: argparse.Namespace) -> int:
    settings = _settings(options)
    report = asyncio.run(check.examine(settings, token=options.token))
    print(report.text)
    return FINE if report.good else PROBLEM


def _health(options: argparse.Namespace) -> int:
    settings = _settings(options)
    problem = health.ask(settings.server)
    if problem is not None:
        _complain(f"gate: {problem}")
        return PROBLEM
    print(f"healthy: {address(settings.server)}")
    return FINE


def _new_key(options: argparse.Namespace) -> int:
    print(new_key())
    return FINE


def _demo(options: argparse.Namespace) -> int:
    return demo.main(options.port, options.portal_port)
