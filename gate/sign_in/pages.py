"""The HTML of signing in and out, in the reader's language. Every word stands in the texts of
`gate/templates/`, under `[sign_in]`.

Which page fits a request, and its status, are decided by the handlers. Everything is escaped but
the QR code, which is drawn here.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gate.brand import Brand
from gate.config.sign_in import SignInSettings
from gate.languages import language_of
from gate.sign_in.flow import Flow, State

_GATE: Final = Path(__file__).parent.parent
_TEXTS: Final = "texts."
_BLANK: Final = "{request_id}"
PAGE: Final = "/-/sign-in"
PORTAL: Final = "/-/sign-in/portal"

_MARKS: Final = {
    "used": "check",
    "unverified": "clock",
    "expired": "clock",
    "refused": "lock",
    "full": "clock",
    "limited": "clock",
    "unavailable": "clock",
}
_LINKS_TO_NOTHING: Final = ("javascript:", "data:", "vbscript:", "blob:", "file:", "about:")


class Reader(NamedTuple):
    """For whom a page is made."""

    accept_language: str | None
    request_id: str


class SignInPages:
    """Makes the pages that `[sign_in]` asks for."""

    def __init__(self, settings: SignInSettings, brand: Brand) -> None:
        self._settings = settings
        self._brand = brand
        self._words = _words()
        self._offers: dict[tuple[str, str], bytes] = {}
        self._templates = _templates()
        self.script = (_GATE / "static" / "sign-in.js").read_bytes()
        self.stylesheet = (_GATE / "static" / "sign-in.css").read_bytes()

    @property
    def languages(self) -> frozenset[str]:
        """Those that there are texts for."""
        return frozenset(self._words)

    def offer(
        self, reader: Reader, *, why: str = "no_token", wanted: str = "", wrong_name: bool = False
    ) -> bytes:
        """The ways in. `why` is "no_token" or "expired"; `wanted` is left empty where the page is
        shown at the very address that was wanted."""
        if wanted or wrong_name:
            return self._offer(reader, why, wanted, wrong_name)
        # laid out once, since strangers can ask for it at any rate they like
        key = language_of(reader.accept_language, self._words), why
        if key not in self._offers:
            blank = reader._replace(request_id=_BLANK)
            self._offers[key] = self._offer(blank, why, wanted, wrong_name)
        return self._offers[key].replace(_BLANK.encode(), reader.request_id.encode())

    def _offer(self, reader: Reader, why: str, wanted: str, wrong_name: bool) -> bytes:
        qr, portal = self._settings.qr, self._settings.portal_url
        if "{path}" in portal:
            portal = PORTAL + (f"?next={quote(wanted, safe='')}" if wanted else "")
        return self._page(
            "offer",
            reader,
            page="sign_in",
            mark="key",
            wanted=wanted,
            portal=portal,
            qr=bool(qr.preset),
            ask_name=qr.ask_name,
            wrong_name=wrong_name,
            words_of=("offer", why),
        )

    def wait(self, reader: Reader, flow: Flow, *, seconds: int, origin: str) -> bytes:
        """The page of a sign-in that is live, as it stands."""
        transaction = flow.transaction
        return self._page(
            "wait",
            reader,
            page="sign_in_wait",
            mark="check" if flow.state is State.ACCEPTED else "key",
            state=flow.state.value,
            seconds=seconds,
            origin=origin,
            code=Markup(flow.code),  # noqa: S704 - drawn by qr.py, no text of others is in it
            user_code=transaction.user_code if transaction else "",
            address=transaction.address if transaction else "",
            link=_link(transaction.text) if transaction else "",
            words_of=("wait", "approved" if flow.state is State.ACCEPTED else "title"),
        )

    def message(
        self,
        reader: Reader,
        name: str,
        *,
        wanted: str = "",
        open_at: str = "",
        finish: bool = False,
    ) -> bytes:
        """What became of a sign-in, with the way on: `open_at` is the documentation's address for
        whoever has a session, `finish` offers to try the last step again."""
        return self._page(
            "message",
            reader,
            page=f"sign_in_{name}",
            mark=_MARKS.get(name, "alert"),
            again="" if finish else self.address(wanted),
            open=open_at,
            finish=finish,
            words_of=("message", name),
        )

    def sign_out(self, reader: Reader) -> bytes:
        """The page with the button."""
        return self._page(
            "sign_out", reader, page="sign_out", mark="key", words_of=("sign_out", "")
        )

    def address(self, wanted: str) -> str:
        """The sign-in page's, for somebody who wanted this page."""
        return f"{PAGE}?next={quote(wanted, safe='')}" if wanted not in ("", "/") else PAGE

    def _page(
        self, template: str, reader: Reader, *, words_of: tuple[str, str], **facts: Any
    ) -> bytes:
        language = language_of(reader.accept_language, self._words)
        words = self._words[language]
        group, name = words_of
        own = words[group][name] if group == "message" else words[group]
        html = self._templates.get_template(f"{template}.html").render(
            language=language,
            words=words,
            request_id=reader.request_id,
            brand=self._brand,
            where=own.get("where", words["offer"]["where"]),
            title=own[name if group == "wait" else "title"],
            what=own[name] if group == "offer" else own.get("what", ""),
            **facts,
        )
        return html.encode("utf-8", errors="replace")


@cache
def _templates() -> Environment:
    """The templates, read and compiled now and not while a request waits."""
    templates = Environment(
        loader=FileSystemLoader([Path(__file__).parent / "templates", _GATE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("marks", "layout", "offer", "wait", "message", "sign_out"):
        templates.get_template(f"{name}.html")
    return templates


@cache
def _words() -> dict[str, dict[str, Any]]:
    """The texts by language, each with all that the English ones have."""
    found = {
        file.name.removeprefix(_TEXTS).removesuffix(".toml"): tomllib.loads(
            file.read_text("utf-8")
        ).get("sign_in", {})
        for file in sorted((_GATE / "templates").glob(f"{_TEXTS}*.toml"))
    }
    return {language: words for language, words in found.items() if words}


def _link(text: str) -> str:
    """What the QR code says, where a phone can follow it: an address of the web or of a wallet."""
    scheme, colon, _ = text.partition(":")
    known = colon and scheme.isascii() and scheme.replace("-", "").replace("+", "").isalnum()
    return "" if not known or text.lower().startswith(_LINKS_TO_NOTHING) else text
