"""Media types, and names that carry a hash of their content."""

import pytest

from gate.site.media import is_fingerprinted, media_type


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("A.HTML", "text/html; charset=utf-8"),
        ("a.min.js", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("search_index.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("a.woff2", "font/woff2"),
        ("sitemap.xml", "application/xml; charset=utf-8"),
        ("sitemap.xml.gz", "application/gzip"),
        ("LICENSE", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_media_types_are_our_own(name: str, kind: str) -> None:
    assert media_type(name) == kind


@pytest.mark.parametrize(
    ("name", "fingerprinted"),
    [
        ("bundle.79ae519e.min.js", True),
        ("assets/main.0a1b2c3d.css", True),
        ("index-1a2b3c4d.js", True),
        ("runtime~main.ab12cd34ef56ab78.js", True),
        ("main.css", False),
        ("release-20240131.pdf", False),
        ("deadbeef.js", False),
        ("a.deadbeef.js", False),
        ("a.0a1b2c3.css", False),
        ("page.0a1b2c3d.html", False),
    ],
)
def test_only_a_name_with_a_hash_never_changes_its_content(name: str, fingerprinted: bool) -> None:
    assert is_fingerprinted(name) is fingerprinted
