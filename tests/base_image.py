"""A stand-in for the Dockerfile's base image, for machines that reach no registry of images: the
machine's own Python, what else the Dockerfile's commands start, and the libraries of both.

It has what the official image has: `python` with pip and venv, a shell, `install`. It is not that
image: another release of Python may be in it, and Debian's other programs are not.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = {"sh": "bin/sh", "install": "usr/bin/install", "env": "usr/bin/env"}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
EVERYWHERE = (
    "libdl.so.2",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
)
"""Libraries that every Debian has: those that wheels for Linux may lean on (PEP 599, 600)."""
_LEFT_OUT = (
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "config-*", "idlelib",
    "lib2to3", "*tkinter*", "turtledemo", "ensurepip",
)  # fmt: skip
_LIBRARY = re.compile(r"(?m)^\s+(?:\S+ => )?(/\S+) \(0x")


def make_root(root: Path) -> None:
    """Fill the folder with the root file system of such an image."""
    for folder in ("etc/ssl/certs", "tmp", "usr/local/bin", "usr/local/lib", "var", "proc"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "pip.conf").write_text(_settings_of_pip())
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    for program, place in PROGRAMS.items():
        _copy(Path(shutil.which(program) or program), root / place)
    library = _copy_python(root / "usr" / "local")
    binaries = [root / place for place in PROGRAMS.values()]
    binaries += [root / "usr" / "local" / "bin" / "python", *library.glob("lib-dynload/*.so")]
    _copy_libraries(binaries, root)


def _copy_python(prefix: Path) -> Path:
    """The interpreter, its standard library and pip; where the library is."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    _copy(Path(getattr(sys, "_base_executable", sys.executable)).resolve(), prefix / "bin/python")
    (prefix / "bin" / version).symlink_to("python")
    library = prefix / "lib" / version
    ignored = shutil.ignore_patterns(*_LEFT_OUT)
    shutil.copytree(sysconfig.get_path("stdlib"), library, symlinks=False, ignore=ignored)
    found = find_spec("pip")
    assert found is not None
    assert found.origin is not None
    # beside the standard library, where every build of Python looks
    shutil.copytree(
        Path(found.origin).parent, library / "pip", ignore=shutil.ignore_patterns("__pycache__")
    )
    return library


def _copy_libraries(binaries: Iterable[Path], root: Path) -> None:
    """Every library that the loader would find for them here, where it finds them there."""
    wanted = {each for binary in binaries for each in _libraries(binary)}
    for library in sorted(wanted | set(_everywhere())):
        usual = any(library.is_relative_to(each) for each in ("/lib", "/lib64", "/usr/lib"))
        place = library if usual else Path("/lib") / library.name
        _copy(library, root / place.relative_to("/"))


def _libraries(binary: Path) -> Iterator[Path]:
    told = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    yield from map(Path, _LIBRARY.findall(told))


def _everywhere() -> Iterator[Path]:
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for name in EVERYWHERE:
        (found, *_) = re.findall(rf"(?m)^\s+{re.escape(name)} .* => (\S+)$", cache.stdout)
        yield Path(found)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def _settings_of_pip() -> str:
    """Those of this machine: which index it asks."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    values = dict(re.findall(r"(?m)^(?:global|:env:)\.(\S+)='(.*)'$", told.stdout))
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
