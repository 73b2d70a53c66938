"""The `gate` command: the only place that prints for people and chooses exit codes.

0 fine; 1 the check found a problem or the server failed; 2 the configuration or the command line is
wrong, and nothing was started.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gate import __version__, health
from gate.config.load import ConfigError, load
from gate.config.settings import Settings
from gate.state.keys import new_key

FINE, PROBLEM, WRONG = 0, 1, 2

_TOKEN_VARIABLE = "GATE_CHECK_TOKEN"
_TOKEN_HELP = (
    "a token that should be good; - reads it from standard input, and without this it may be in"
    f" ${_TOKEN_VARIABLE}: neither leaves it in the shell's history"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    _keep_standard_streams()
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except ConfigError as problem:
        _complain(str(problem))
        return WRONG
    except KeyboardInterrupt:
        return PROBLEM
    return code


def _keep_standard_streams() -> None:
    """Let standard input, output and error lead somewhere, where they were closed to nowhere: the
    next socket would get their number, and then the log lines."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does


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
            added.add_argument("--token", metavar="TOKEN", help=_TOKEN_HELP)
    key = commands.add_parser("new-key", help="print a fresh key for [session] keys")
    key.set_defaults(run=_new_key)
    _add_demo(commands.add_parser("demo", help="show everything: a portal, its verify API, docs"))
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=8080, help="of the gate (8080)")
    parser.add_argument("--portal-port", type=_port, default=8081, help="of the portal (8081)")
    parser.set_defaults(run=_demo)


def _port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def _settings(options: argparse.Namespace) -> Settings:
    return load(options.config, os.environ)


# What only one command needs is imported by it: a container's engine runs `gate health` every few
# seconds, and the server's rooms take four times as long to import as everything else.


def _serve(options: argparse.Namespace) -> int:
    from gate import server

    source = options.config or os.environ.get("GATE_CONFIG") or "config.toml"
    return _until_stopped(
        lambda: server.main(_settings(options), lambda: _settings(options)), place=f"{source}: "
    )


def _demo(options: argparse.Namespace) -> int:
    from gate.demo import start

    return _until_stopped(lambda: start.main(options.port, options.portal_port))


def _until_stopped(serve: Callable[[], None], *, place: str = "") -> int:
    from gate.doors import ServeProblem
    from gate.start import StartProblem

    # while still starting, as Ctrl-C: else it ends no process that is the first of its container
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve()
    except StartProblem as problem:
        _complain("\n".join(f"{place}{each}" for each in problem.problems))
        return WRONG
    except ServeProblem as problem:
        _complain(f"gate: {problem}")
        return PROBLEM
    except KeyboardInterrupt:
        pass
    return FINE


def _check(options: argparse.Namespace) -> int:
    from gate.check.examine import examine

    settings = _settings(options)
    report = examine(settings, token=_given_token(options.token))
    print(report.text)
    return FINE if report.good else PROBLEM


def _given_token(argument: str | None) -> str | None:
    """The token to check, wherever it is given."""
    if argument == "-":
        return sys.stdin.readline().strip()
    return argument if argument is not None else os.environ.get(_TOKEN_VARIABLE)


def _health(options: argparse.Namespace) -> int:
    # a site that is being rebuilt has no index page for a moment, and the gate serves on
    settings = load(options.config, os.environ, disk=False)
    problem = health.ask(settings.server)
    if problem is not None:
        _complain(f"gate: {problem}")
        return PROBLEM
    print("healthy")
    return FINE


def _new_key(options: argparse.Namespace) -> int:
    print(new_key())
    return FINE
