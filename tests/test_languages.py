"""Which language a reader is answered in, and that no language lacks a text."""

import pytest

from gate.languages import language_of
from gate.wording import read_words

THERE = ("en", "zh-Hans")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-Hans-CN", "zh-Hans"),
        ("ZH-hans", "zh-Hans"),
        ("zh-TW", "zh-Hans"),
        ("en-GB, zh;q=0.9", "en"),
        ("de, fr;q=0.9", "en"),
        ("de, zh;q=0.1", "zh-Hans"),
        ("en;q=0.2, zh;q=0.3", "zh-Hans"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=0", "en"),
        ("*", "en"),
        ("*, zh;q=0.5", "zh-Hans"),
        ("zh;q=nonsense", "en"),
        ("\x00, zh", "zh-Hans"),
        ("," * 100_000, "en"),
    ],
)
def test_the_best_of_what_there_is(header: str | None, language: str) -> None:
    assert language_of(header, THERE) == language


def test_every_language_has_every_text_with_the_same_facts() -> None:
    words = read_words()
    assert set(words) == set(THERE)
    model = words["en"]
    for language in words.values():
        for name, page in language.pages.items():
            assert len(page.next) >= 1
            assert bool(page.action) is bool(model.pages[name].action), name
            for fact in ("retry_after", "origin", "status", "detail"):
                held = "{" + fact + "}"
                assert (held in f"{page}") is (held in f"{model.pages[name]}"), (name, fact)
