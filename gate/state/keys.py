"""The gate's secret keys: where they come from, and what each purpose derives from them.

Only this room sees a master key. A value made for one purpose never opens for another, because
every purpose gets a key of its own (HKDF, RFC 5869).
"""

import base64
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gate.config.settings import SessionSettings
from gate.config.spelling import key_problem

KEY_BYTES = 32
KEY_FILE = "session.key"


class KeyProblem(Exception):
    """A key that cannot be used or made. The message names the place, never the key."""


class Keys:
    """Master keys, newest first. Raises `KeyProblem` when there is none or one is malformed."""

    def __init__(self, masters: Sequence[str]) -> None:
        if not masters:
            raise KeyProblem("no key: `gate new-key` prints one")
        self._masters = tuple(decode(text) for text in masters)

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """One 32-byte key per master key, newest first, good for this purpose alone."""
        info = b"docs-gate/1/" + purpose.encode("ascii")
        return tuple(
            HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master)
            for master in self._masters
        )

    def newest(self, purpose: str) -> bytes:
        """The newest key of a purpose: for values that need not outlive a rotation."""
        return self.derive(purpose)[0]


def open_keys(settings: SessionSettings, state_dir: Path) -> Keys:
    """The keys of `[session]`: listed, from a given file, or from `session.key` in `state_dir`,
    which is made at the first start. Raises `KeyProblem`."""
    if settings.keys:
        return Keys([key.get_secret_value() for key in settings.keys])
    if settings.key_file is not None:
        return Keys(read_key_file(settings.key_file))
    return Keys(make_key_file(state_dir / KEY_FILE))


def new_key() -> str:
    """A fresh key: 32 random bytes as 44 characters of URL-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def decode(text: str) -> bytes:
    """The 32 bytes of a key as `new_key` prints it. Raises `KeyProblem` for anything else."""
    if problem := key_problem(text):
        raise KeyProblem(problem)
    return base64.urlsafe_b64decode(text)


def read_key_file(path: Path) -> list[str]:
    """The keys in a file, newest first, one a line; empty lines and `#` comments do not count.

    Raises `KeyProblem` when the file cannot be read, holds no key, or is readable by everybody.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem(f"{path} cannot be read: {_reason(error)}") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o007:
        raise KeyProblem(f"{path} can be read by every user of this machine: chmod o-rwx {path}")
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise KeyProblem(f"{path} holds no key: `gate new-key` prints one")
    for text in found:
        try:
            decode(text)
        except KeyProblem as problem:
            raise KeyProblem(f"{path}: {problem}") from None
    return found


def make_key_file(path: Path) -> list[str]:
    """The keys in a file that is made, with one new key, if it is not there.

    Several processes may start at once: the file appears whole and only once, because a finished
    temporary file (O_EXCL, mode 0600) is linked to the name. Raises `KeyProblem`.
    """
    if not os.path.lexists(path):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_new(temporary, new_key() + "\n")
            with suppress(FileExistsError):
                os.link(temporary, path)
        except OSError as error:
            raise KeyProblem(f"{path} cannot be written: {_reason(error)}") from None
        finally:
            with suppress(OSError):
                temporary.unlink()
    return read_key_file(path)


def _write_new(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return "it is not UTF-8 text"
