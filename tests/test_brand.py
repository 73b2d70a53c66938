"""The name, logo, colour and contact of the gate's own pages."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from gate.brand import MAX_LOGO_BYTES, BrandProblem, open_brand
from gate.config.settings import BrandSettings, FrameSettings
from gate.pages import Pages
from tests.conftest import MakeGate


def page_of(**settings: str) -> str:
    pages = Pages(open_brand(BrandSettings.model_validate(settings)), FrameSettings())
    return pages.html("no_token", request_id="1").decode()


def test_the_name_and_the_contact_are_on_every_page() -> None:
    html = page_of(name="Acme & Sons {x}", contact="help@acme.example")
    assert "Acme &amp; Sons &#123;x&#125;" in html
    assert '<a href="mailto:help@acme.example">help@acme.example</a>' in html


@pytest.mark.parametrize(
    ("contact", "href"),
    [
        ("https://help.example/docs", "https://help.example/docs"),
        ("help@example.com", "mailto:help@example.com"),
        ("Room 3, extension 17", None),
        ("javascript:alert(1)", None),
        ("a:b@c", None),
    ],
)
def test_a_contact_leads_somewhere_or_is_text(contact: str, href: str | None) -> None:
    found = re.search(r'<a href="([^"]*)">', page_of(contact=contact))
    assert (found[1] if found else None) == href


@pytest.mark.parametrize("colour", ["#ffffff", "#ffff00", "#000000", "#2a4fc0", "#808080"])
def test_text_in_the_brands_colour_can_be_read_in_both_themes(colour: str) -> None:
    css = open_brand(BrandSettings(color=colour)).css.decode()
    light, dark = re.findall(r"--accent: (#[0-9a-f]{6})", css)
    assert contrast(light, "#ffffff") >= 4.5
    assert contrast(dark, "#1a1e26") >= 4.5


@pytest.mark.parametrize("colour", ["#ffff00", "#d9822b", "#2a4fc0"])
def test_a_mark_stands_out_from_its_ground_which_is_a_shade_of_the_brands_colour(
    colour: str,
) -> None:
    css = open_brand(BrandSettings(color=colour)).css.decode()
    accents, tints = (
        re.findall(rf"--{each}: (#[0-9a-f]{{6}})", css) for each in ("accent", "tint")
    )
    for accent, tint in zip(accents, tints, strict=True):
        assert contrast(accent, tint) >= 3, "what a drawing needs (WCAG 2.2, 1.4.11)"


def contrast(one: str, other: str) -> float:
    lights = []
    for text in (one, other):
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_a_colour_is_six_digits() -> None:
    with pytest.raises(ValidationError):
        BrandSettings(color="red; } body { display: none")


def test_a_logo_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    large, strange = tmp_path / "large.png", tmp_path / "logo.exe"
    large.write_bytes(b"0" * (MAX_LOGO_BYTES + 1))
    strange.write_bytes(b"")
    for file in (large, strange, tmp_path / "absent.svg"):
        with pytest.raises(BrandProblem, match=file.name):
            open_brand(BrandSettings(logo=file))


async def test_the_logo_is_served_to_anyone(make_gate: MakeGate, tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_bytes(b"<svg/>")
    gate = await make_gate(brand={"logo": tmp_path / "logo.svg"})
    answer = await gate.get("/-/logo")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")
    assert await answer.read() == b"<svg/>"
    page = await (await gate.get("/", headers={"Accept": "text/html"})).text()
    assert '<img src="/-/logo"' in page


async def test_a_reader_is_answered_in_their_language(make_gate: MakeGate) -> None:
    gate = await make_gate()
    for wanted, language, text in (("zh-CN", "zh-Hans", "请从门户进入"), ("fr", "en", "come in")):
        answer = await gate.get("/", headers={"Accept": "text/html", "Accept-Language": wanted})
        assert answer.headers["Content-Language"] == language
        assert f'lang="{language}"' in (page := await answer.text())
        assert text in page
        shell = await gate.get("/-/frame", headers={"Accept-Language": wanted})
        assert shell.headers["Content-Language"] == language
