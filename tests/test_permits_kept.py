"""How long the fast door remembers decisions."""

import pytest

from gate.access import Permit
from gate.door import permits
from gate.door.permits import UNUSED_SECONDS, Permits
from gate.seal import Session


def permit(number: int) -> Permit:
    session = Session(str(number), 0.0, 0.0, "", token=None)
    return Permit(session, None, None, 0, 0.0, 0.0)


def test_a_cookie_that_comes_again_is_remembered_and_others_are_forgotten() -> None:
    kept = Permits()
    kept.put(b"stays", permit(1), 0.0)
    kept.put(b"goes", permit(2), 0.0)
    for turn in range(1, 4):
        again = kept.pop(b"stays")
        assert again is not None
        kept.put(b"stays", again, turn * UNUSED_SECONDS)
    assert kept.pop(b"goes") is None
    assert len(kept) == 1


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permits, "MOST", 10)
    kept = Permits()
    for number in range(100):
        kept.put(b"%d" % number, permit(number), 0.0)
        assert len(kept) <= 10
    assert kept.get(b"99") is not None
