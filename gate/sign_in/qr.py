"""The QR code, as SVG that stands in a page without any style of its own."""

import segno

from gate.sign_in.progress import BadAnswer

MAX_BYTES = 1200
"""Of the text: what is longer makes modules too small for a phone in front of a screen."""


def svg(text: str) -> str:
    """Dark on light with its quiet zone, whatever the colours of the page: phones read no other
    reliably. Raises `BadAnswer` for a text that is too long."""
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise BadAnswer("the text for the QR code is too long")
    code = segno.make_qr(text, error="m", boost_error=False)
    drawn: str = code.svg_inline(
        dark="#000", light="#fff", border=4, omitsize=True, svgclass="qr", lineclass=None
    )
    return drawn
