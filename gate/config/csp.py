"""The spelling of what `[site] csp_sources` adds to the site's Content-Security-Policy.

An entry is a directive and its sources, as they stand in the header itself. What would take the
policy's strength away is refused: it has a setting of its own, `csp`.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

DIRECTIVES: Final = (
    "script-src", "style-src", "img-src", "font-src", "connect-src", "media-src", "manifest-src",
    "worker-src", "frame-src", "object-src", "form-action",
)  # fmt: skip
"""What may be added to: the directives that say where a page loads from and sends to."""

_SCRIPTS: Final = ("script-src", "worker-src", "object-src")
_KEYWORDS: Final = ("self", "unsafe-eval", "wasm-unsafe-eval", "inline-speculation-rules")
_HASH: Final = r"'sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}'"
_SCHEME: Final = r"[a-z][a-z0-9+.-]*:"
_HOST: Final = (  # CSP Level 3, section 2.3.1; no "," and ";", which end a policy and a directive
    r"(?:[a-z][a-z0-9+.-]*://)?(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"(?::(?:[0-9]{1,5}|\*))?(?:/[!#-+\--:=@-~]*)?"
)
_WITHOUT_QUOTES: Final = re.compile(r"(?:self|none|(?:wasm-)?unsafe-.*|sha\d+-.*|nonce-.*)", re.I)


def _entry(text: str) -> str:
    directive, *sources = text.split(" ")
    if directive not in DIRECTIVES:
        raise ValueError(f"must begin with one of {', '.join(DIRECTIVES)}")
    if not sources:
        raise ValueError('must have a source after the directive, as "img-src https://host"')
    for source in sources:
        _check(directive, source)
    return text


def _check(directive: str, source: str) -> None:
    if source in {f"'{word}'" for word in _KEYWORDS} or re.fullmatch(_HASH, source):
        return
    if source in ("'unsafe-inline'", "'strict-dynamic'", "'unsafe-hashes'"):
        raise ValueError(f"must not have {source}: hashes are taken of what the pages hold")
    if _WITHOUT_QUOTES.fullmatch(source):
        raise ValueError("must have single quotes around a word that is no host, as 'self'")
    if re.fullmatch(_SCHEME, source, re.IGNORECASE):
        if directive in _SCRIPTS and source.lower() in ("data:", "filesystem:"):
            raise ValueError(f"must not have {source} for scripts: any text could then run")
        return
    if not re.fullmatch(_HOST, source, re.IGNORECASE):
        raise ValueError(
            "must have sources as in the header, one space between them: https://host, "
            "*.host, https:, 'wasm-unsafe-eval'"
        )


CspSource = Annotated[str, AfterValidator(_entry)]
