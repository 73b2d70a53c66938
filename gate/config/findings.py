"""What is found wrong in settings, and what can be said about the files that they name."""

import os
import stat
from pathlib import Path

# What is wrong, then the keys ("section.key") that it follows from, the place of it first.
Finding = tuple[str, ...]


def reason(error: OSError) -> str:
    """What the system says about a file, for the middle of a sentence."""
    return (error.strerror or type(error).__name__).lower()


def file_problem(file: Path) -> str | None:
    """Why a file cannot be read; None if it can."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "is not a regular file; name another"
        with file.open("rb"):
            return None
    except OSError as error:
        return f"cannot be read ({reason(error)}); name a file that this user can read"


def open_to_all(file: Path) -> str | None:
    """What is wrong with a secret's file that everybody may open; None if that is not so."""
    if os.name == "posix" and file.stat().st_mode & 0o007:
        return "is open to every user of this machine; chmod o-rwx"
    return None
