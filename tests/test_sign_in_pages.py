"""The sign-in pages' words and markup, and the choice of the language."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gate.brand import open_brand
from gate.config.settings import BrandSettings
from gate.config.sign_in import QrSettings, SignInSettings
from gate.languages import language_of
from gate.sign_in import qr
from gate.sign_in.flow import Flow, State
from gate.sign_in.pages import Reader, SignInPages
from gate.sign_in.progress import BadAnswer, Transaction

TEXTS = sorted((Path(__file__).parent.parent / "gate/templates").glob("texts.*.toml"))
SETTINGS = SignInSettings(
    portal_url="https://portal.example.com/{path}", qr=QrSettings(preset="custom", ask_name=True)
)
PAGES = SignInPages(SETTINGS, open_brand(BrandSettings()))
AVAILABLE = ("en", "zh-Hans")


def keys(table: dict[str, Any], within: str = "") -> Iterator[str]:
    for name, value in table.items():
        yield f"{within}{name}"
        if isinstance(value, dict):
            yield from keys(value, f"{within}{name}.")


def test_every_language_has_every_text() -> None:
    found = {file.name: tomllib.loads(file.read_text("utf-8"))["sign_in"] for file in TEXTS}
    assert len(found) == 2
    english = list(keys(found["texts.en.toml"]))
    assert all(list(keys(table)) == english for table in found.values())


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_can_be_made_and_holds_nothing_the_policy_forbids(language: str) -> None:
    pages = PAGES
    reader = Reader(language, "the-request")
    flow = Flow("id", "", "", "/", deadline=0, seen=0)
    flow.transaction = Transaction("secret", "https://h/", "CODE", "https://h/")
    flow.code = qr.svg("https://h/")
    made = [
        pages.offer(reader),
        pages.offer(reader, why="expired", wanted="/<b>", wrong_name=True),
        pages.wait(reader, flow, seconds=61, origin="https://docs.example"),
        pages.sign_out(reader),
        *(pages.message(reader, state.value, wanted="/<b>") for state in State
          if state not in (State.WAITING, State.UNREACHABLE, State.ACCEPTED)),
        *(pages.message(reader, name, open_at="/", finish=True)
          for name in ("unknown", "full", "unavailable", "unverified")),
    ]  # fmt: skip
    for page in (each.decode() for each in made):
        assert "the-request" in page
        assert "<b>" not in page
        assert "secret" not in page
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/-/)|javascript:", page)


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "12345", "no scheme"]
)
def test_what_no_phone_should_follow_is_no_link(text: str) -> None:
    flow = Flow("id", "", "", "/", deadline=0, seen=0, transaction=Transaction("s", text))
    page = PAGES.wait(Reader(None, "x"), flow, seconds=1, origin="")
    assert b'class="link"' not in page


def test_an_address_of_a_wallet_is_a_link() -> None:
    flow = Flow("id", "", "", "/", deadline=0, seen=0, code="<svg></svg>")
    flow.transaction = Transaction("s", "openid4vp://authorize?x=1&y")
    page = PAGES.wait(Reader(None, "x"), flow, seconds=1, origin="")
    assert b'href="openid4vp://authorize?x=1&amp;y"' in page


@pytest.mark.parametrize(
    ("state", "heading"),
    [(State.WAITING, "Scan this with your phone"), (State.ACCEPTED, "Approved on the phone")],
)
def test_the_heading_says_how_it_stands(state: State, heading: str) -> None:
    flow = Flow("id", "", "", "/", deadline=0, seen=0, state=state)
    page = PAGES.wait(Reader(None, "x"), flow, seconds=1, origin="").decode()
    assert f"<h1>{heading}</h1>" in page
    assert f"<title>{heading} ·" in page


def test_a_heading_does_not_break_at_a_hyphen() -> None:
    page = PAGES.message(Reader(None, "x"), "failed").decode()
    assert '<h1>This <span class="whole">sign-in</span> went wrong</h1>' in page


def test_whoever_needs_help_is_told_once_whom_to_ask() -> None:
    pages = SignInPages(SETTINGS, open_brand(BrandSettings(contact="help@example.com")))
    reader = Reader(None, "x")
    for page in (pages.offer(reader), pages.message(reader, "failed"), pages.sign_out(reader)):
        assert page.decode().count('<a href="mailto:help@example.com">') == 1


def test_a_text_that_makes_no_readable_code_is_refused() -> None:
    assert "<svg" in qr.svg("x" * qr.MAX_BYTES)
    with pytest.raises(BadAnswer):
        qr.svg("ü" * qr.MAX_BYTES)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-Hans", "zh-Hans"),
        ("zh-Hans-CN", "zh-Hans"),
        ("zh-TW", "zh-Hans"),
        ("zh-Hant-HK;q=0.5, en;q=0.4", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("en-GB,zh;q=0.9", "en"),
        ("de,zh;q=0.5,en;q=0.4", "zh-Hans"),
        ("de", "en"),
        ("zh;q=0", "en"),
        ("zh;q=nonsense, en", "en"),
        ("*", "en"),
        ("ZH-cn", "zh-Hans"),
        (",;q=1,,;;", "en"),
        ("x," * 1000 + "zh", "en"),
    ],
)
def test_the_language_is_the_first_of_those_that_there_are(
    header: str | None, language: str
) -> None:
    assert language_of(header, AVAILABLE) == language
