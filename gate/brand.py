"""The name, logo, colour and contact that the gate's own pages wear."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

from gate.config.settings import BrandSettings

_STATIC: Final = Path(__file__).parent / "static"
MAX_LOGO_BYTES: Final = 256 * 1024

_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
_CONTRAST: Final = 4.5  # between text and ground (WCAG 2.2, 1.4.3)
_LIGHT_SHEET: Final = (255, 255, 255)
_DARK_SHEET: Final = (26, 30, 38)

_TINT: Final = 0.12  # of the accent, in the ground of the round marks

Colour = tuple[int, int, int]


class BrandProblem(Exception):
    """The logo cannot be used. The message names it."""


@dataclass(frozen=True, slots=True)
class Brand:
    """What the settings say, ready for pages: `css` ends the style sheet, `logo` is the file."""

    name: Markup
    contact: Markup
    contact_href: Markup
    css: bytes
    has_logo: bool
    logo: bytes
    """The company's, else the gate's own mark: browsers want an icon."""
    logo_type: str


def open_brand(settings: BrandSettings) -> Brand:
    """The brand of `[brand]`. Raises `BrandProblem`."""
    logo, kind = (_STATIC / "mark.svg").read_bytes(), _TYPES[".svg"]
    if settings.logo is not None:
        kind = _TYPES.get(settings.logo.suffix.lower(), "")
        if not kind:
            raise BrandProblem(f"{settings.logo} is no SVG, PNG or WebP file")
        try:
            logo = settings.logo.read_bytes()
        except OSError as error:
            raise BrandProblem(f"{settings.logo} cannot be read: {error.strerror}") from None
        if len(logo) > MAX_LOGO_BYTES:
            raise BrandProblem(f"{settings.logo} has more than {MAX_LOGO_BYTES // 1024} kB")
    return Brand(
        name=_plain(settings.name),
        contact=_plain(settings.contact),
        contact_href=_plain(_href(settings.contact)),
        css=_css(settings.color),
        has_logo=settings.logo is not None,
        logo=logo,
        logo_type=kind,
    )


def _plain(text: str) -> Markup:
    """Text that is only text on a page, whose facts are still to be filled in between braces."""
    braces = str.maketrans({"{": "&#123;", "}": "&#125;"})
    return Markup(str(escape(text)).translate(braces))  # noqa: S704 - escaped just before


def _href(contact: str) -> str:
    """Where a contact leads: an address, a mail, or nowhere."""
    if re.fullmatch(r"https?://\S+", contact):
        return contact
    return f"mailto:{contact}" if re.fullmatch(r"[^@\s:/?]+@[^@\s:/?]+", contact) else ""


def _css(text: str) -> bytes:
    """The accent of both themes, moved away from the ground until text in it can be read."""
    if not text:
        return b""
    colour = (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))
    light = _readable(colour, _LIGHT_SHEET, towards=0)
    dark = _readable(colour, _DARK_SHEET, towards=255)
    return (
        f"\n:root {{ --accent: {_hex(light)}; --on-accent: #ffffff;"
        f" --tint: {_hex(_moved(_LIGHT_SHEET, light, _TINT))}; }}\n"
        "@media (prefers-color-scheme: dark) {\n"
        f"  :root {{ --accent: {_hex(dark)}; --on-accent: {_hex(_DARK_SHEET)};"
        f" --tint: {_hex(_moved(_DARK_SHEET, dark, _TINT))}; }}\n}}\n"
    ).encode("ascii")


def _readable(colour: Colour, ground: Colour, *, towards: int) -> Colour:
    for _ in range(32):
        if _contrast(colour, ground) >= _CONTRAST:
            break
        colour = _moved(colour, (towards, towards, towards), 0.1)
    return colour


def _moved(colour: Colour, towards: Colour, share: float) -> Colour:
    red, green, blue = (
        one + round((other - one) * share) for one, other in zip(colour, towards, strict=True)
    )
    return red, green, blue


def _contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2.2."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        share / 12.92 if (share := each / 255) <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for each in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{each:02x}" for each in colour)
