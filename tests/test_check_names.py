"""Every diagnosis has a name and texts, and the handbook explains exactly those names."""

import re

import pytest

from gate.check import surroundings, verdicts
from gate.check.causes import TEXTS
from gate.check.facts import Facts, diagnosis_of
from gate.check.report import Diagnosis
from gate.check.shared import TEXTS as SHARED
from gate.config.settings import VerifySettings
from gate.shared.gone import Trouble
from gate.verify.cause import Cause
from gate.verify.jose.refusal import Refusal
from tests.processes import ROOT

FACTS = Facts.of(VerifySettings(url="http://user:CANARY@host/verify?key=CANARY"))
ROOMS = (*vars(verdicts).values(), *vars(surroundings).values())
SINGLE = [each for each in ROOMS if isinstance(each, Diagnosis)]
NAMES = [
    *(cause.value for cause in Cause),
    *(trouble.value for trouble in Trouble),
    *(refusal.value for refusal in Refusal),
    *(diagnosis.name for diagnosis in SINGLE),
]


def test_every_cause_trouble_and_refusal_has_its_texts() -> None:
    assert list(TEXTS) == list(Cause)
    assert set(SHARED) == set(Trouble)
    assert set(verdicts.REFUSALS) == set(Refusal)


def test_no_name_stands_for_two_things() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert [name for name in NAMES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.value)
def test_every_text_can_be_filled_and_says_what_to_do(cause: Cause) -> None:
    found = diagnosis_of(cause, FACTS)
    assert found.what
    assert "CANARY" not in found.what + found.next_step
    assert "{" not in re.sub(r"\{\"|\{cure\}", "", found.what + found.next_step)


def test_what_is_filled_in_is_not_looked_through_for_fields() -> None:
    found = Diagnosis("a", "{url}", "{url}").with_facts({"url": "{secret}"})
    assert (found.what, found.next_step) == ("{secret}", "{secret}")


def test_the_handbook_explains_every_name_and_no_other() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    _, _, part = page.partition("\n## What `gate check` says\n")
    part = re.split(r"\n## ", part)[0]
    assert sorted(re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", part)) == sorted(NAMES)
