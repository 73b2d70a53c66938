"""The gate's own few pages: what a reader sees instead of the site.

Only what makes HTML out of a page's name and the caller's facts may live here. Which
page fits a request, its status and its headers are decided by the callers. Every word
stands in `templates/texts.en.toml`; a page is laid out by `templates/page.html`.

Nothing of a request reaches a page but the facts, and those are escaped: these pages go
to strangers, and a token or a path in them would be an oracle or a leak.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from gate.config.settings import FrameSettings

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class _Look:
    """What of a page is not language: its mark, and where its one link leads.

    An empty `href` is the address the page was asked by. It is the way to offer "try
    again" with query and all, without writing that address into the page.
    """

    mark: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class _Text:
    """The words of one page; a key missing or unknown in the file fails at the start."""

    where: Markup
    title: Markup
    what: Markup
    next: tuple[Markup, ...]
    administrator: Markup
    action: str = ""


_LOOKS: Final[Mapping[str, _Look]] = {
    "no_token": _Look("key"),
    "refused": _Look("lock"),
    "expired": _Look("clock"),
    "no_cookie": _Look("cookie"),
    "forbidden_origin": _Look("lock"),
    "forbidden_frame": _Look("lock"),
    "forbidden_load": _Look("lock"),
    "framed_only": _Look("lock"),
    "unavailable": _Look("clock", href=""),
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
    "signed_out": ("check", "retry"),
}
"""The shell's panels: the mark, and the buttons."""


def _markup(text: str) -> Markup:
    """Escape *text* and set what stands in backticks as code.

    Done before facts are filled in, so that a backtick in a fact stays a backtick.
    """
    code = Markup("<code>{}</code>")
    pieces = enumerate(text.split("`"))
    return Markup("").join(code.format(piece) if n % 2 else escape(piece) for n, piece in pieces)


def _text(table: Mapping[str, Any]) -> _Text:
    steps = tuple(_markup(step) for step in table["next"])
    return _Text(next=steps, **{k: _markup(v) for k, v in table.items() if k != "next"})


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class _Panel:
    """One panel of the shell."""

    mark: str
    where: Markup
    title: Markup
    what: Markup
    actions: tuple[str, ...]


def _panels(words: Mapping[str, Mapping[str, str]], *, beside: bool) -> dict[str, _Panel]:
    if words.keys() != _PANELS.keys():
        strange = sorted(words.keys() ^ _PANELS.keys())
        raise ValueError(f"texts.en.toml and the list of panels differ in {strange}")
    return {
        name: _Panel(
            mark=mark,
            actions=tuple(each for each in actions if beside or each != "open-beside"),
            **{key: _markup(text) for key, text in words[name].items()},
        )
        for name, (mark, *actions) in _PANELS.items()
    }


def _lay_out(
    template: Template,
    language: str,
    labels: Mapping[str, str],
    name: str,
    text: _Text,
    look: _Look,
) -> Markup:
    """The page with its {facts} still open: `Markup.format` escapes what goes in.

    `escape` leaves a rendered module as it is, and makes it `Markup`.
    """
    page = template.make_module(
        {"language": language, "labels": labels, "name": name, "text": text, "look": look}
    )
    return escape(page)


class Pages:
    """Makes the gate's own pages.

    Each is laid out once, here; what is left for a request is to fill in the facts, since
    strangers can ask for these pages at any rate they like.

    `stylesheet` is what has to be served at `/-/gate.css`; the pages load nothing else.
    """

    stylesheet: bytes

    def __init__(self) -> None:
        self.stylesheet = (_HERE / "static" / "gate.css").read_bytes()
        words = tomllib.loads((_HERE / "templates" / "texts.en.toml").read_text("utf-8"))
        texts = {name: _text(table) for name, table in words["pages"].items()}
        if texts.keys() != _LOOKS.keys():
            strange = sorted(texts.keys() ^ _LOOKS.keys())
            raise ValueError(f"texts.en.toml and the list of pages differ in {strange}")
        self._words = words
        template = _environment().get_template("page.html")
        self._none: str = words["labels"]["none"]
        self._pages = {
            name: _lay_out(template, words["language"], words["labels"], name, text, _LOOKS[name])
            for name, text in texts.items()
        }

    def shell(self, frame: FrameSettings) -> bytes:
        """The page around the site's own. The origins in it are no secret: every answer's
        Content-Security-Policy names them."""
        template = _environment().get_template("shell.html")
        return template.render(
            language=self._words["language"],
            labels=self._words["labels"],
            origins=frame.allowed_origins,
            cookieless=frame.cookieless,
            panels=_panels(self._words["shell"], beside=not frame.only),
        ).encode("utf-8")

    @property
    def names(self) -> frozenset[str]:
        """Every name that `html` knows."""
        return frozenset(self._pages)

    def html(self, name: str, *, request_id: str, **facts: str) -> bytes:
        """The page *name* as UTF-8; `KeyError` if the name or one of its facts is missing.

        Facts: `origin` for forbidden_origin, `retry_after` (seconds) for unavailable and
        unavailable_form, `status` and `detail` for malformed. An empty fact is shown as
        "none"; one that the page has no place for is left out.
        """
        shown = {key: value or self._none for key, value in facts.items()}
        page = self._pages[name].format(request_id=request_id, **shown)
        # aiohttp hands over bytes of a header that are no UTF-8 as lone surrogates.
        return page.encode("utf-8", errors="replace")
