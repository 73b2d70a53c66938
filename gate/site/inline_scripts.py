"""What a page runs and loads, read as a browser reads it: the hashes of its inline scripts and
event handlers, and the other hosts that it names.

Only what can be said of one page alone may live here; what follows from it is said in `policy`.
"""

import base64
import codecs
import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

# https://html.spec.whatwg.org/multipage/scripting.html#prepare-the-script-element
_RUN_TYPES: Final = frozenset({"module", "importmap", "speculationrules"}) | {
    f"{kind}/{subtype}"
    for kind in ("application", "text")
    for subtype in ("ecmascript", "javascript", "x-ecmascript", "x-javascript")
} | {"text/jscript", "text/livescript"} | {f"text/javascript1.{n}" for n in range(6)}  # fmt: skip

_WHITESPACE: Final = "\t\n\f\r "
_HANDLER: Final = re.compile(r"""[\s/"'](on[a-z]+)\s*=""", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9_.-]+(?::[0-9]{1,5})?")

_LOADS: Final = {  # selector → attribute, directive
    'script[src*="//"]': ("src", "script-src"),
    'link[rel~="stylesheet" i][href*="//"]': ("href", "style-src"),
    'link[rel~="icon" i][href*="//"]': ("href", "img-src"),
    'img[src*="//"]': ("src", "img-src"),
    'iframe[src*="//"]': ("src", "frame-src"),
    'video[src*="//"], audio[src*="//"], source[src*="//"]': ("src", "media-src"),
}
_FONTS: Final = {"https://fonts.googleapis.com": "https://fonts.gstatic.com"}
"""Where stylesheets of one host load fonts from another, which no page names."""

_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_Root: TypeAlias = LexborHTMLParser | LexborNode


@dataclass(frozen=True, slots=True)
class Page:
    """What one page runs and loads."""

    scripts: frozenset[str] = frozenset()
    """Inline scripts, as sources of a policy: `'sha256-…'`."""
    handlers: frozenset[str] = frozenset()
    """Event handlers in attributes, likewise."""
    loads: frozenset[tuple[str, str]] = frozenset()
    """Directive and origin of what it names on other hosts."""


def all_in_one(pages: Collection[Page]) -> Page:
    """What several pages run and load together."""
    return Page(
        frozenset[str]().union(*(page.scripts for page in pages)),
        frozenset[str]().union(*(page.handlers for page in pages)),
        frozenset[tuple[str, str]]().union(*(page.loads for page in pages)),
    )


def read_page(body: bytes) -> Page:
    """Read a page. Raises ValueError for one that the parser does not take, as of 2.5 GB."""
    scripts: set[str] = set()
    handlers: set[str] = set()
    loads: set[tuple[str, str]] = set()
    for root, handler_names in _roots(_decoded(body)):
        texts = (_inline(node) for node in root.css("script"))
        scripts.update(_hash(text) for text in texts if text)
        for name in handler_names:
            handlers.update(_hash(value) for value in _values(root, f"[{name}]", name))
        for selector, (attribute, directive) in _LOADS.items():
            origins = map(_other_origin, _values(root, selector, attribute))
            loads.update((directive, origin) for origin in origins if origin)
    loads.update(("font-src", _FONTS[origin]) for _, origin in tuple(loads) if origin in _FONTS)
    return Page(frozenset(scripts), frozenset(handlers), frozenset(loads))


def _decoded(body: bytes) -> str:
    """The text as a browser decodes it: the gate says UTF-8, and only a byte order mark beats that
    (https://encoding.spec.whatwg.org/#decode). Line ends become LF before anything is parsed."""
    for mark, encoding in _MARKS.items():
        if body.startswith(mark):
            text = body[len(mark) :].decode(encoding, "replace")
            break
    else:
        text = body.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _roots(text: str) -> Iterator[tuple[_Root, set[str]]]:
    """Everything that scripts may stand in, each with the names of event handlers to look for: the
    document, the content of its templates, which scripts of the page bring to life, and `srcdoc`
    documents, which inherit the policy."""
    documents = [text]
    while documents:
        html = documents.pop()
        names = {name.lower() for name in _HANDLER.findall(html)}
        try:
            roots: list[_Root] = [LexborHTMLParser(html, scripting=True)]
        except SelectolaxError as error:
            raise ValueError(str(error)) from None
        while roots:
            root = roots.pop()
            yield root, names
            roots += root.template_fragments()
            documents += _values(root, "iframe[srcdoc]", "srcdoc")


def _values(root: _Root, selector: str, attribute: str) -> Iterator[str]:
    """The values of an attribute that are not empty."""
    return filter(None, (node.attributes.get(attribute) for node in root.css(selector)))


def _inline(script: LexborNode) -> str | None:
    """The text that a browser runs; None for data, and for what is loaded from elsewhere."""
    attributes = script.attributes
    sources = ("href", "xlink:href") if _is_svg(script) else ("src",)
    if any(name in attributes for name in sources):
        return None
    if kind := attributes.get("type"):
        runs = kind.strip(_WHITESPACE).lower() in _RUN_TYPES
    else:
        language = None if "type" in attributes else attributes.get("language")
        runs = not language or f"text/{language.lower()}" in _RUN_TYPES
    return script.text(deep=False) if runs else None


def _is_svg(script: LexborNode) -> bool:
    node = script.parent
    while node is not None and node.tag != "svg":
        if node.tag in ("foreignObject", "desc", "title"):  # where SVG holds HTML
            return False
        node = node.parent
    return node is not None


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _other_origin(url: str) -> str | None:
    """The origin in a whole URL; https where it names no scheme."""
    try:
        parts = urlsplit(url.strip(_WHITESPACE))
        _ = parts.port
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2].lower()
    if parts.scheme not in ("", "http", "https") or not _HOST.fullmatch(host):
        return None
    return f"{parts.scheme or 'https'}://{host}"
