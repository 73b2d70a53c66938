"""The gate's own pages: what each says, and what none of them may ever hold."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

import pytest

from gate.brand import open_brand
from gate.config.settings import BrandSettings, FrameSettings
from gate.pages import Pages

RID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
FACTS: Final = {
    "origin": "https://portal.example",
    "retry_after": "7",
    "status": "405",
    "detail": "this address takes GET and HEAD",
}
NAMES: Final = (
    "expired",
    "failed",
    "forbidden_frame",
    "forbidden_load",
    "forbidden_origin",
    "framed_only",
    "limited",
    "malformed",
    "no_cookie",
    "no_token",
    "not_found",
    "refused",
    "signed_out",
    "token_too_long",
    "unavailable",
    "unavailable_form",
    "unwritten",
)
PAGES: Final = Pages(open_brand(BrandSettings()), FrameSettings())

every_page = pytest.mark.parametrize("name", NAMES)


class Outline(HTMLParser):
    """Elements with attributes, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def render(name: str, **facts: str) -> str:
    return PAGES.html(name, request_id=RID, **(FACTS | facts)).decode()


def test_the_names_are_the_ones_callers_know() -> None:
    assert sorted(PAGES.names) == list(NAMES)


@every_page
def test_a_page_says_what_happened_what_to_do_and_what_to_quote(name: str) -> None:
    html = render(name)
    outline = Outline(html)
    assert (outline.count("h1"), outline.count("main"), outline.count("title")) == (1, 1, 1)
    for words in ("What to do now", "For the administrator:", "Request id", RID):
        assert words in outline.text
    assert html.startswith("<!doctype html>")
    # the mark by which the page around it, in a portal's element, knows what happened
    assert f'<html lang="en" data-origins="" data-gate-page="{name}" data-request="{RID}"' in html
    assert ("data-retry-after" in html) is (name == "unavailable")


@every_page
def test_a_page_is_fit_for_frames_themes_and_narrow_screens(name: str) -> None:
    html = render(name)
    assert '<meta name="color-scheme" content="light dark">' in html
    assert '<meta name="robots" content="noindex">' in html
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html


@every_page
def test_a_page_loads_its_stylesheet_its_script_and_its_icon_and_nothing_else(name: str) -> None:
    outline = Outline(render(name))
    tags = {tag for tag, _ in outline.elements}
    assert not tags & {"style", "img", "iframe", "base", "object"}
    scripts = [given for tag, given in outline.elements if tag == "script"]
    assert scripts == [{"src": "/-/page.js", "defer": None}]
    attributes = {key for _, given in outline.elements for key in given}
    assert not [key for key in attributes if key == "style" or key.startswith("on")]
    links = [given["href"] for tag, given in outline.elements if tag == "link"]
    assert links == ["/-/logo", "/-/gate.css"]


@every_page
def test_no_place_for_a_fact_is_left_open(name: str) -> None:
    assert not re.search(r"[{}`]", Outline(render(name)).text)


@every_page
def test_a_fact_the_page_has_no_place_for_is_left_out(name: str) -> None:
    assert "s3cret" not in render(name, path="/s3cret", query="s3cret")


def test_only_pages_that_can_lead_somewhere_have_a_link() -> None:
    leading = {}
    for name in NAMES:
        links = [given["href"] for tag, given in Outline(render(name)).elements if tag == "a"]
        if links:
            leading[name] = links
    assert leading == {"unavailable": [""], "not_found": ["/"]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("forbidden_origin", "https://portal.example"),
        ("forbidden_origin", "Referrer-Policy: strict-origin-when-cross-origin"),
        ("forbidden_origin", "[frame] allowed_origins"),
        ("forbidden_frame", "[frame] allowed_origins"),
        ("unavailable", "7 s"),
        ("unavailable_form", "7 s"),
        ("malformed", "Status 405: this address takes GET and HEAD"),
        ("token_too_long", "[session] recheck = false"),
        ("no_cookie", "Secure; SameSite=None; Partitioned"),
    ],
)
def test_a_page_names_the_cause_and_the_cure(name: str, words: str) -> None:
    assert words in Outline(render(name)).text


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", '"><img src=x>', "`{origin}` {0} {request_id.__class__}", "{"],
)
def test_a_fact_is_text_and_never_markup(hostile: str) -> None:
    for name, fact in (("forbidden_origin", "origin"), ("malformed", "detail")):
        plain, attacked = Outline(render(name)), Outline(render(name, **{fact: hostile}))
        assert hostile in attacked.text
        assert [tag for tag, _ in attacked.elements] == [tag for tag, _ in plain.elements]


def test_a_fact_of_undecodable_bytes_makes_a_page_all_the_same() -> None:
    assert (
        "received: https://?." in Outline(render("forbidden_origin", origin="https://\udcff")).text
    )


def test_a_request_id_is_escaped_too() -> None:
    html = PAGES.html("failed", request_id="<b>").decode()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


def test_an_empty_fact_is_said_to_be_none() -> None:
    assert "received: none." in Outline(render("forbidden_origin", origin="")).text


@pytest.mark.parametrize("name", ["forbidden_origin", "unavailable", "malformed"])
def test_a_missing_fact_is_a_mistake_of_the_caller(name: str) -> None:
    with pytest.raises(KeyError):
        PAGES.html(name, request_id=RID)


def test_an_unknown_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        PAGES.html("nowhere", request_id=RID)


def test_the_stylesheet_knows_the_dark_and_loads_nothing() -> None:
    css = PAGES.stylesheet.decode()
    assert "prefers-color-scheme: dark" in css
    assert "url(" not in css
    assert "@import" not in css
