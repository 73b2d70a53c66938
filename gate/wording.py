"""The words of the gate's own pages, by language: `templates/texts.<language>.toml`.

Only what reads those files may live here. A language that lacks a text fails at the start, so that
no reader meets a page with a hole in it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup, escape

TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class PageText:
    """The words of one page; a key missing or unknown in the file fails at the start."""

    where: Markup
    title: Markup
    what: Markup
    next: tuple[Markup, ...]
    administrator: Markup
    action: str = ""


@dataclass(frozen=True, slots=True)
class PanelText:
    """The words of one panel of the shell."""

    where: Markup
    title: Markup
    what: Markup


@dataclass(frozen=True, slots=True)
class Words:
    """All that one language says."""

    language: str
    labels: Mapping[str, str]
    pages: Mapping[str, PageText]
    panels: Mapping[str, PanelText]


def read_words() -> dict[str, Words]:
    """Every language there is, by its tag. Raises ValueError where one lacks something."""
    found = {}
    for file in sorted(TEMPLATES.glob("texts.*.toml")):
        words = _words(tomllib.loads(file.read_text("utf-8")))
        if file.name != f"texts.{words.language}.toml":
            raise ValueError(f"{file.name} says that its language is {words.language}")
        found[words.language] = words
    model = found["en"]
    for words in found.values():
        for kind in ("labels", "pages", "panels"):
            strange = sorted(getattr(words, kind).keys() ^ getattr(model, kind).keys())
            if strange:
                raise ValueError(f"texts.{words.language}.toml and texts.en.toml differ: {strange}")
    return found


def _words(table: Mapping[str, Any]) -> Words:
    return Words(
        language=table["language"],
        labels=table["labels"],
        pages={name: _page(texts) for name, texts in table["pages"].items()},
        panels={
            name: PanelText(**{key: markup(text) for key, text in texts.items()})
            for name, texts in table["shell"].items()
        },
    )


def _page(table: Mapping[str, Any]) -> PageText:
    steps = tuple(markup(step) for step in table["next"])
    rest = {key: markup(text) for key, text in table.items() if key != "next"}
    return PageText(next=steps, **rest)


def markup(text: str) -> Markup:
    """Escape *text* and set what stands in backticks as code.

    Done before facts are filled in, so that a backtick in a fact stays a backtick.
    """
    code = Markup("<code>{}</code>")
    pieces = enumerate(text.split("`"))
    return Markup("").join(code.format(piece) if n % 2 else escape(piece) for n, piece in pieces)
