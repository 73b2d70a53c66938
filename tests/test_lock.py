"""What the image installs is pinned with hashes, is what the program asks for, and may be used."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = dict(re.findall(r"(?m)^([a-z0-9-]+)==([^\s;]+)", LOCK))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
_OSI = "License :: OSI Approved ::"
ALLOWED = {
    *("MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "PSF-2.0"),
    *(f"{_OSI} {name} License" for name in ("MIT", "BSD", "Apache Software")),
    f"{_OSI} Python Software Foundation License",
}
"""What may be in the image: permissive licences only, by SPDX or, in older metadata, by name."""


def numbers(version: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", version)]


def test_every_requirement_has_hashes() -> None:
    entries = re.split(r"\n(?=[a-z])", LOCK.partition("\n")[2])
    assert len(entries) == len(PINNED)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_the_program_asks_for_is_pinned_at_its_floor_or_above() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["redis"]]
    for each in asked:
        found = re.match(r"([A-Za-z0-9_-]+)>=([0-9.]+)", each)
        assert found, each
        assert numbers(PINNED[found[1].lower()]) >= numbers(found[2]), each


def stated(name: str) -> set[str]:
    """The licences that an installed distribution states: by the newest way that it knows."""
    told = metadata.metadata(name)
    if expressions := told.get_all("License-Expression"):
        return set(re.findall(r"[\w.+-]+", " ".join(expressions))) - {"AND", "OR"}
    classifiers = {each for each in told.get_all("Classifier", []) if each.startswith("License ::")}
    return classifiers or set(told.get_all("License", []))


@pytest.mark.parametrize("name", sorted(PINNED))
def test_every_licence_is_a_permissive_one(name: str) -> None:
    found = stated(name)
    assert found
    assert found <= ALLOWED


def test_the_bill_and_the_audit_are_those_of_the_lock() -> None:
    recipes = dict(re.findall(r"(?m)^(\S+):.*\n((?:\t.*\n)+)", MAKEFILE))
    installs = recipes["$(VENV)/image/made"]
    assert re.findall(r"install (.*)", installs) == [
        "--only-binary :all: --require-hashes -r requirements.lock",
        "--no-deps .",
    ]
    assert "$(VENV)/image/bin/python" in recipes["sbom"]
    assert {"--requirement", "requirements.lock", "--strict"} <= set(recipes["audit"].split())


def test_the_image_installs_by_the_lock_and_nothing_else() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip --python \S+ install [^&\n]*", text)
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps" in installs[1]
