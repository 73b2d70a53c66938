"""The gate's own few pages: what a reader sees instead of the site.

Only what makes HTML out of a page's name, a language and the caller's facts may live here. Which
page fits a request, its status and its headers are decided by the callers. Every word stands in
`templates/texts.<language>.toml`; a page is laid out by `templates/page.html`.

Nothing of a request reaches a page but the facts, and those are escaped: these pages go to
strangers, and a token or a path in them would be an oracle or a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from gate.brand import Brand
from gate.config.settings import FrameSettings
from gate.languages import DEFAULT, language_of
from gate.wording import TEMPLATES, PanelText, Words, markup, read_words

_STATIC: Final = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class _Look:
    """What of a page is not language: its mark, and where its one link leads.

    An empty `href` is the address the page was asked by. It is the way to offer "try
    again" with query and all, without writing that address into the page. `again` lets the page
    ask for itself anew, after the seconds in its fact `retry_after`.
    """

    mark: str
    href: str | None = None
    again: bool = False


_LOOKS: Final[Mapping[str, _Look]] = {
    "no_token": _Look("key"),
    "refused": _Look("lock"),
    "expired": _Look("clock"),
    "no_cookie": _Look("cookie"),
    "forbidden_origin": _Look("lock"),
    "forbidden_frame": _Look("lock"),
    "forbidden_load": _Look("lock"),
    "framed_only": _Look("lock"),
    "unavailable": _Look("clock", href="", again=True),
    "unavailable_form": _Look("clock"),
    "unwritten": _Look("alert"),
    "malformed": _Look("alert"),
    "limited": _Look("clock"),
    "not_found": _Look("search", href="/"),
    "failed": _Look("alert"),
    "signed_out": _Look("check"),
    "token_too_long": _Look("key"),
}

_PANELS: Final[Mapping[str, tuple[str, ...]]] = {
    "loading": ("clock",),
    "framed_only": ("lock",),
    "no_portal": ("alert", "retry"),
    "sandboxed": ("lock",),
    "denied": ("key", "retry"),
    "refused": ("lock", "retry"),
    "unavailable": ("clock", "retry"),
    "failed": ("alert", "retry"),
    "no_cookie": ("cookie", "open-beside", "retry"),
    "lost": ("alert", "retry"),
    "signed_out": ("check", "again"),
}
"""The shell's panels: the mark, and the buttons."""


@dataclass(frozen=True, slots=True)
class _Panel:
    text: PanelText
    mark: str
    actions: tuple[str, ...]


class Pages:
    """Makes the gate's own pages.

    Each is laid out once, here, in every language; what is left for a request is to fill in the
    facts, since strangers can ask for these pages at any rate they like. `base` is what the gate's
    own paths start with for browsers, as "/docs".

    `stylesheet` and `script` are what has to be served at `/-/gate.css` and `/-/page.js`; beside
    the brand's logo the pages load nothing else. Raises `BrandProblem`, and ValueError where a
    language lacks a text.
    """

    def __init__(self, brand: Brand, frame: FrameSettings, base: str = "") -> None:
        self.brand = brand
        self._base = base
        self.stylesheet = (_STATIC / "gate.css").read_bytes() + brand.css
        self.script = (_STATIC / "page.js").read_bytes()
        self._words = read_words()
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._pages = {
            tag: self._laid_out(words, frame.allowed_origins) for tag, words in self._words.items()
        }
        self._shells = {tag: self._shell(words, frame) for tag, words in self._words.items()}

    @property
    def names(self) -> frozenset[str]:
        """Every name that `html` knows."""
        return frozenset(_LOOKS)

    @property
    def languages(self) -> frozenset[str]:
        """The tags of the languages that pages are written in."""
        return frozenset(self._words)

    def language(self, accept_language: str | None) -> str:
        """The language to answer a request in, by its Accept-Language header."""
        return language_of(accept_language, self._words)

    def html(self, name: str, *, request_id: str, language: str = DEFAULT, **facts: str) -> bytes:
        """The page *name* as UTF-8; `KeyError` if the name or one of its facts is missing.

        Facts: `origin` for forbidden_origin, `retry_after` (seconds) for unavailable and
        unavailable_form, `status` and `detail` for malformed. An empty fact is shown as
        "none"; one that the page has no place for is left out.
        """
        none = self._words[language].labels["none"]
        shown = {key: value or none for key, value in facts.items()}
        page = self._pages[language][name].format(request_id=request_id, **shown)
        # aiohttp hands over bytes of a header that are no UTF-8 as lone surrogates.
        return page.encode("utf-8", errors="replace")

    def shell(self, language: str) -> bytes:
        """The page around the site's own. The origins in it are no secret: every answer's
        Content-Security-Policy names them."""
        return self._shells[language]

    def _laid_out(self, words: Words, origins: tuple[str, ...]) -> dict[str, Markup]:
        """The pages with their {facts} still open: `Markup.format` escapes what goes in."""
        if words.pages.keys() != _LOOKS.keys():
            strange = sorted(words.pages.keys() ^ _LOOKS.keys())
            raise ValueError(f"texts.{words.language}.toml: pages that differ: {strange}")
        template = self._environment.get_template("page.html")
        return {
            # `escape` leaves a rendered module as it is, and makes it `Markup`
            name: escape(
                template.make_module(
                    {
                        "language": words.language,
                        "labels": words.labels,
                        "base": self._base,
                        "brand": self.brand,
                        "origins": " ".join(origins),
                        "name": name,
                        "text": text,
                        "look": _LOOKS[name],
                    }
                )
            )
            for name, text in words.pages.items()
        }

    def _shell(self, words: Words, frame: FrameSettings) -> bytes:
        if words.panels.keys() != _PANELS.keys():
            strange = sorted(words.panels.keys() ^ _PANELS.keys())
            raise ValueError(
                f"texts.{words.language}.toml and the list of panels differ: {strange}"
            )
        panels = {
            name: _Panel(
                words.panels[name],
                mark,
                tuple(each for each in actions if each != "open-beside" or not frame.only),
            )
            for name, (mark, *actions) in _PANELS.items()
        }
        html = self._environment.get_template("shell.html").render(
            language=words.language,
            labels=words.labels,
            base=self._base,
            brand=self.brand,
            origins=" ".join(frame.allowed_origins),
            cookieless=frame.cookieless,
            panels=panels,
            noscript=markup(words.labels["noscript-what"]),
        )
        return html.encode("utf-8")
