"""Where keys come from, what is derived from them, and that no message shows one."""

import base64
import hmac
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from pydantic import SecretStr

from gate.config.settings import SessionSettings
from gate.state.keys import (
    KeyProblem,
    Keys,
    decode,
    make_key_file,
    new_key,
    open_keys,
    read_key_file,
)
from tests.conftest import KEY, OTHER_KEY
from tests.processes import environment

PURPOSES = ("cookie", "log", "verdict", "path", "sign-in")
SHORT_KEY = base64.urlsafe_b64encode(b"s3cret" * 3).decode("ascii")


def key_file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "given.key"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    path.chmod(mode)
    return path


def problem_of(path: Path) -> str:
    with pytest.raises(KeyProblem) as caught:
        read_key_file(path)
    return str(caught.value)


def test_a_new_key_is_32_random_bytes_in_base64url() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(decode(key)) for key in keys} == {32}


@pytest.mark.parametrize(
    "text", ["", "s3cret", SHORT_KEY, KEY[:-1], KEY + KEY, "+" * 43 + "=", f" {KEY}", f"{KEY}\n"]
)
def test_what_is_no_key_of_32_bytes_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyProblem) as caught:
        Keys([KEY, text])
    assert "gate new-key" in str(caught.value)
    assert not text.strip() or text.strip() not in str(caught.value)


def test_without_any_key_there_are_no_keys() -> None:
    with pytest.raises(KeyProblem, match="gate new-key"):
        Keys([])


def test_every_purpose_has_a_key_of_its_own_and_none_is_the_master() -> None:
    derived = [Keys([KEY]).newest(purpose) for purpose in PURPOSES]
    assert {len(key) for key in derived} == {32}
    assert len({*derived, decode(KEY)}) == len(PURPOSES) + 1


def test_derived_keys_never_change() -> None:
    # RFC 5869 by hand: what one version seals the next must open
    extracted = hmac.digest(bytes(32), decode(KEY), "sha256")
    expanded = hmac.digest(extracted, b"docs-gate/1/cookie\x01", "sha256")
    assert Keys([KEY]).newest("cookie") == expanded


def test_derived_keys_keep_the_order_of_their_masters_newest_first() -> None:
    both = Keys([KEY, OTHER_KEY]).derive("cookie")
    assert both == (Keys([KEY]).newest("cookie"), Keys([OTHER_KEY]).newest("cookie"))
    assert Keys([KEY, OTHER_KEY]).newest("cookie") == both[0]


def test_keys_do_not_show_themselves() -> None:
    keys = Keys([KEY])
    shown = f"{keys!r} {keys}"
    assert KEY not in shown
    assert str(decode(KEY)) not in shown


def test_a_key_file_holds_one_key_a_line_with_comments_and_empty_lines(tmp_path: Path) -> None:
    path = key_file(tmp_path, f"# newest\r\n{KEY}\r\n\n  # last year's\n  {OTHER_KEY}  ")
    assert read_key_file(path) == [KEY, OTHER_KEY]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o660])
def test_a_key_file_may_be_readable_by_its_group(tmp_path: Path, mode: int) -> None:
    assert read_key_file(key_file(tmp_path, KEY, mode)) == [KEY]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o601, 0o602, 0o777])
def test_a_key_file_open_to_everybody_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, KEY, mode)
    assert f"chmod o-rwx {path}" in problem_of(path)


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", "# only a comment\n", SHORT_KEY, f"{KEY}\n{SHORT_KEY}", "s3cret", b"\xff\xfe"],
)
def test_a_key_file_without_good_keys_is_refused_by_name(
    tmp_path: Path, content: str | bytes
) -> None:
    path = key_file(tmp_path, content)
    problem = problem_of(path)
    assert str(path) in problem
    assert "s3cret" not in problem
    assert SHORT_KEY not in problem


def test_a_key_file_that_is_missing_or_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing.key"
    assert f"{missing} cannot be read: no such file" in problem_of(missing)
    assert f"{tmp_path} cannot be read: is a directory" in problem_of(tmp_path)


def test_listed_keys_come_before_a_key_file_and_that_before_the_state_dir(tmp_path: Path) -> None:
    given = key_file(tmp_path, OTHER_KEY)
    state = tmp_path / "state"
    listed = SessionSettings(keys=(SecretStr(KEY),), key_file=given)
    assert open_keys(listed, state).derive("x") == Keys([KEY]).derive("x")
    filed = SessionSettings(key_file=given)
    assert open_keys(filed, state).derive("x") == Keys([OTHER_KEY]).derive("x")
    assert not state.exists()


def test_the_key_in_the_state_dir_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    mask = os.umask(0)
    try:
        first = open_keys(SessionSettings(), state).derive("x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((state / "session.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert open_keys(SessionSettings(), state).derive("x") == first
    assert os.listdir(state) == ["session.key"]


def test_threads_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    together = Barrier(8)

    def start(_: int) -> list[str]:
        together.wait()
        return make_key_file(tmp_path / "session.key")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(start, range(8)))
    assert found == [found[0]] * 8
    assert os.listdir(tmp_path) == ["session.key"]


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    # each says that it has started and waits for a line, so that all of them race
    code = (
        "import pathlib, sys; from gate.state.keys import make_key_file\n"
        "print(flush=True); input()\n"
        "print(make_key_file(pathlib.Path(sys.argv[1])))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
        )
        for _ in range(4)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None
        racer.stdout.readline()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    found = {racer.communicate()[0] for racer in racers}
    assert found == {f"{read_key_file(path)}\n"}
    assert os.listdir(tmp_path) == ["session.key"]


@pytest.mark.parametrize("name", ["a" * 300, "file/below", "/proc/none/such"])
def test_a_state_dir_that_cannot_be_written_is_a_problem_that_names_it(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(KeyProblem, match="cannot be written") as caught:
        open_keys(SessionSettings(), tmp_path / name)
    assert name in str(caught.value)


def test_a_damaged_key_in_the_state_dir_is_a_problem_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    path.write_text(SHORT_KEY)
    path.chmod(0o600)
    with pytest.raises(KeyProblem):
        open_keys(SessionSettings(), tmp_path)
    assert path.read_text() == SHORT_KEY
