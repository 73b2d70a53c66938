"""What the image installs is pinned with hashes, is what the program asks for, and may be used."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = dict(re.findall(r"(?m)^([a-z0-9-]+)==([^\s;]+)", LOCK))
ALLOWED = re.compile(r"\b(?:MIT|MIT-0|BSD|Apache|PSF-2\.0|Python Software Foundation)\b")


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


@pytest.mark.parametrize("name", sorted(PINNED))
def test_every_licence_is_a_permissive_one(name: str) -> None:
    told = metadata.metadata(name)
    classifiers = [each for each in told.get_all("Classifier", []) if each.startswith("License")]
    named = [each for key in ("License-Expression", "License") for each in told.get_all(key, [])]
    stated = " ".join([*classifiers, *named])
    assert ALLOWED.search(stated), stated
    assert "GPL" not in stated


def test_the_image_installs_by_the_lock_and_nothing_else() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    installs = re.findall(r"pip --python \S+ install [^&\n]*", text)
    assert len(installs) == 2
    assert "--require-hashes -r requirements.lock" in installs[0]
    assert "--no-deps" in installs[1]
