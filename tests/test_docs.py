"""The handbook agrees with the program, with itself, and with the site that was built from it.

That config.toml has every setting with its default is in test_config.py.
"""

import html
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from gate.config.settings import Settings, VerifySettings, shown

ROOT = Path(__file__).resolve().parent.parent
DOCS, SITE = ROOT / "docs", ROOT / "site"
PAGES = sorted(DOCS.glob("*.md"), key=lambda page: page.name)
TEXTS = [ROOT / "README.md", *PAGES]
OVERRIDES = DOCS / "overrides"  # templates for the build, not a part of the site

INLINE = {"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "small", "span", "strong", "sup"}
LOADING = {  # attributes that make a browser fetch something by itself
    ("audio", "src"), ("embed", "src"), ("iframe", "src"), ("image", "href"), ("img", "src"),
    ("img", "srcset"), ("link", "href"), ("object", "data"), ("script", "src"), ("source", "src"),
    ("source", "srcset"), ("track", "src"), ("use", "href"), ("video", "poster"), ("video", "src"),
}  # fmt: skip
ONLY_NAMED = {"canonical", "next", "prev"}  # what a <link> may be without being fetched


def ids(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


class Page(HTMLParser):
    """A built page: its words in order, its headings, its ids, and what it makes browsers load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.loads: list[str] = []
        self.headings: list[str] = []
        self._text: list[str] = []
        self._heading: int | None = None
        self.feed(text)
        self.close()
        self.words = words("".join(self._text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.ids.add(named.get("id", ""))
        if not (tag == "link" and named.get("rel") in ONLY_NAMED):
            self.loads += [value for name, value in named.items() if (tag, name) in LOADING]
        if tag not in INLINE:
            self._text.append(" ")
        if re.fullmatch("h[1-6]", tag):
            self._heading = len(self._text)

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(words("".join(self._text[self._heading :])))
        if tag not in INLINE:
            self._text.append(" ")

    def handle_data(self, data: str) -> None:
        self._text.append(data)


def words(text: str) -> str:
    """The words alone, one space between them: what Markdown and HTML have in common."""
    return " ".join(re.findall(r"[^\W_]+", text))


@cache
def built(page: Path) -> Page:
    name = "index.html" if page.name == "index.md" else f"{page.stem}/index.html"
    return Page((SITE / name).read_text("utf-8"))


def lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line of a Markdown text, and whether it is code."""
    code = False
    for line in re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).splitlines():
        if line.lstrip().startswith("```"):
            code = not code
        else:
            yield line, code


def said(line: str) -> str:
    """The words that a reader gets to see of a line of Markdown."""
    line = re.sub(r"!\[[^]]*\]\([^)]*\)|\{:?\s*[.#][^}]*\}", " ", line)
    line = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line)
    line = re.sub(r"^\s*(\d+\.|(!!!|\?\?\?\+?) \w+)\s", " ", line)
    kept = r"(?P<code>`[^`]*`)|<(?P<link>https?://[^>]+)>|<[^>]*>"
    line = re.sub(kept, lambda found: found["code"] or found["link"] or " ", line)
    return words(html.unescape(line))


def links(page: Path) -> Iterator[str]:
    """The addresses in a Markdown text, outside of code."""
    for line, code in lines(page.read_text("utf-8")):
        if not code:
            line = re.sub(r"`[^`]*`", "", line)
            yield from re.findall(r"\]\(\s*<?([^)>\s]+)", line)
            yield from re.findall(r"\b(?:href|src)=\"([^\"]+)\"", line)


# The settings


def handbook_settings() -> dict[str, dict[str, object]]:
    """Section → key → default, as the tables of docs/settings.md have them."""
    found: dict[str, dict[str, object]] = {}
    section = None
    for line, code in lines((DOCS / "settings.md").read_text("utf-8")):
        if heading := re.match(r"##+ (.*)", line):
            name = re.fullmatch(r"`\[([\w.]+)\]`", heading[1])
            section = _section(found, name[1]) if name else None
        row = re.match(r"\| `(\w+)` \| (.+?) \|", line)
        if section is not None and row and not code:
            # a second value is the one of another preset
            code_span = re.match(r"`([^`]*)`", row[2])
            section[row[1]] = tomllib.loads(f"x = {code_span[1]}")["x"] if code_span else row[2]
    return found


def _section(found: dict[str, dict[str, object]], name: str) -> dict[str, object]:
    """The section of this name, which may be inside another, made where it is missing."""
    outer, _, inner = name.rpartition(".")
    within: dict[str, object] = {}
    if outer:
        found[outer][inner] = within
    else:
        found[name] = within
    return within


def test_the_handbook_has_every_setting_with_its_default() -> None:
    expected = shown(Settings(verify=VerifySettings(url="http://localhost")))
    expected["verify"]["url"] = "required"
    assert handbook_settings() == expected


def test_the_handbook_has_the_settings_in_the_order_of_the_program() -> None:
    expected = shown(Settings(verify=VerifySettings(url="http://localhost")))
    found = handbook_settings()
    assert [(name, list(keys)) for name, keys in found.items()] == [
        (name, list(keys)) for name, keys in expected.items()
    ]


# The links


@pytest.mark.parametrize("page", TEXTS, ids=ids(TEXTS))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        parts = urlsplit(link)
        target = page.parent / unquote(parts.path) if parts.path else page
        if parts.scheme or parts.netloc:
            continue
        if not target.exists():
            broken.append(link)
        elif parts.fragment and target.resolve() in PAGES:
            broken += [link] * (parts.fragment not in built(target.resolve()).ids)
    assert broken == []


# The built site


def test_the_site_has_the_pages_of_the_handbook_and_no_others() -> None:
    expected = {SITE / ("" if page.stem == "index" else page.stem) / "index.html" for page in PAGES}
    assert set(SITE.rglob("*.html")) == {*expected, SITE / "404.html"}


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_the_site_says_what_the_handbook_says(page: Path) -> None:
    """`make site` after a change of docs/, before the commit."""
    everything = f" {built(page).words} "
    missing = []
    for line, code in lines(page.read_text("utf-8")):
        wanted = words(line) if code else said(line)
        missing += [line] * (f" {wanted} " not in everything and wanted != "")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_the_site_has_the_headings_of_the_handbook_and_no_others(page: Path) -> None:
    headings = [
        said(line)
        for line, code in lines(page.read_text("utf-8"))
        if not code and re.match("#+ ", line)
    ]
    assert built(page).headings == headings


def test_the_site_has_the_files_of_the_handbook() -> None:
    files = {
        file.relative_to(DOCS): file.read_bytes()
        for file in DOCS.rglob("*")
        if file.is_file() and file.suffix != ".md" and OVERRIDES not in file.parents
    }
    assert files
    built_files = {file: (SITE / file).exists() and (SITE / file).read_bytes() for file in files}
    assert [str(file) for file in files if files[file] != built_files[file]] == []


# The site loads nothing from elsewhere: it is read behind closed doors


def test_the_theme_brings_no_fonts_from_elsewhere() -> None:
    assert re.search(r"(?m)^theme:\n(?: .*\n)*?  font: false$", (ROOT / "mkdocs.yml").read_text())


def test_no_page_loads_anything_from_elsewhere() -> None:
    pages = {page: Page(page.read_text("utf-8")) for page in SITE.rglob("*.html")}
    assert all(page.loads for page in pages.values())
    loads = [(str(file), load) for file, page in pages.items() for load in page.loads]
    assert [(file, load) for file, load in loads if urlsplit(load).netloc] == []


def test_no_stylesheet_loads_anything_from_elsewhere() -> None:
    loaded = r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//[^\"')]*"
    sheets = [*SITE.rglob("*.css"), *SITE.rglob("*.html")]
    assert [found for sheet in sheets for found in re.findall(loaded, sheet.read_text())] == []


def test_no_page_needs_a_script_that_the_theme_would_fetch() -> None:
    """Material fetches Mermaid from a CDN as soon as a page has a diagram."""
    pages = [page.read_text("utf-8") for page in SITE.rglob("*.html")]
    assert [page for page in pages if re.search(r"class=\"[^\"]*\bmermaid\b", page)] == []
