"""The command line: what is understood, what is refused, with which exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gate import __version__
from gate.cli import main
from gate.state.keys import Keys
from tests.processes import environment


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("start",),
        ("serve", "--colour"),
        ("serve", "now"),
        ("serve", "--config"),
        ("check", "--token"),
        ("health", "--token", "x"),
        ("new-key", "--config", "x"),
        ("demo", "--config", "x"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_shows_the_right_one(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert "usage: gate" in refused(capsys, *arguments)


@pytest.mark.parametrize("option", ["--port", "--portal-port"])
@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "80.0", "", "²"])
def test_a_port_is_a_number_from_1_to_65535(
    capsys: pytest.CaptureFixture[str], option: str, port: str
) -> None:
    complaint = refused(capsys, "demo", f"{option}={port}")
    assert f"argument {option}: a port is a number from 1 to 65535" in complaint


@pytest.mark.parametrize("command", ["serve", "check", "health"])
def test_a_configuration_that_is_named_must_be_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    missing = tmp_path / "missing.toml"
    assert main([command, "--config", str(missing)]) == 2
    complaint = capsys.readouterr().err
    assert str(missing) in complaint
    assert "no such file" in complaint


def test_a_new_key_is_printed_alone_and_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-key"]) == 0
    printed = capsys.readouterr()
    assert Keys([printed.out.removesuffix("\n")])
    assert printed.err == ""


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gate {__version__}\n"


def test_a_command_without_a_server_imports_none_of_its_rooms(tmp_path: Path) -> None:
    code = "import sys; from gate.cli import main; main(['new-key']); print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert not {"aiohttp", "jinja2", "gate.server"} & set(ended.stdout.split())


def test_standard_streams_that_lead_somewhere_are_left_alone() -> None:
    open_before = os.listdir("/proc/self/fd")
    main(["new-key"])
    assert os.listdir("/proc/self/fd") == open_before


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for command in ("serve", "demo", "check", "new-key", "health"):
        assert f"\n    {command} " in shown
