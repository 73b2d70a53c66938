"""What a browser runs of a page is hashed, as it runs it, and nothing else is."""

import base64
import hashlib

import pytest

from gate.site.inline_scripts import all_in_one, read_page


def sha(*texts: str) -> set[str]:
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}


def scripts(html: str | bytes) -> frozenset[str]:
    return read_page(html if isinstance(html, bytes) else html.encode("utf-8")).scripts


def test_a_hash_is_the_one_of_the_standard() -> None:
    # the example of CSP Level 3 for 'unsafe-hashes' has this very text and hash
    page = read_page(b"<script>doSubmit()</script>")
    assert page.scripts == {"'sha256-jzgBGA4UWFFmpOBq0JpdsySukE1FrEN5bUpoK8Z29fY='"}


@pytest.mark.parametrize(
    ("html", "texts"),
    [
        ("<script>a</script><p><script>b</script><script>a</script>", ["a", "b"]),
        ("<SCRIPT TYPE='Text/JavaScript'>a</SCRIPT >", ["a"]),
        ("<script type=module>a</script><script nomodule>b</script>", ["a", "b"]),
        ("<script type=' module\n'>a</script>", ["a"]),
        ("<script type=importmap>{}</script>", ["{}"]),
        ("<script type=speculationrules>{}</script>", ["{}"]),
        ("<script type=''>a</script><script type language=x>b</script>", ["a", "b"]),
        ("<script language=JavaScript1.2>a</script><script language=vbscript>b</script>", ["a"]),
        ("<script>\n a \n</script>", ["\n a \n"]),
        ("<script async defer id=x>ä€😀</script>", ["ä€😀"]),
        ("<script>a &amp; b</script>", ["a &amp; b"]),
        ("<script><!--\na\n--></script>", ["<!--\na\n-->"]),
        ("<script><!--<script>a</script>b--></script>", ["<!--<script>a</script>b-->"]),
        ("<script>'<\\/script>'</script>", ["'<\\/script>'"]),
        ("<p>a<script>b", ["b"]),
        ("<script>a</scrip></script>", ["a</scrip>"]),
        ("<table><script>a</script></table><select><script>b</script></select>", ["a", "b"]),
        ("<svg><script>a &amp; b</script></svg>", ["a & b"]),
        ("<svg><script><![CDATA[a < b]]></script></svg>", ["a < b"]),
        ("<svg><script src=x>a</script><script type=module>b</script></svg>", ["a", "b"]),
        ("<svg><foreignObject><script href=x>a</script></foreignObject></svg>", ["a"]),
        ("<template><script>a</script><template><script>b</script></template></template>",
         ["a", "b"]),
        ("<div><template shadowrootmode=open><script>a</script></template></div>", ["a"]),
        ('<iframe srcdoc="<script>a &amp;amp; &quot;b&quot;</script>"></iframe>',
         ['a &amp; "b"']),
    ],
)  # fmt: skip
def test_what_runs_is_hashed_as_it_runs(html: str, texts: list[str]) -> None:
    assert scripts(html) == sha(*texts)


@pytest.mark.parametrize(
    "html",
    [
        "",
        "no markup at all",
        "<script></script>",
        "<script src=a.js>a</script><script src>b</script><script src=''>c</script>",
        "<script type=application/json>{}</script><script type=application/ld+json>{}</script>",
        "<script type=text/template><b></script><script type='text/x-mathjax-config'>a</script>",
        "<script type='text/javascript; charset=utf-8'>a</script>",
        "<!-- <script>a</script> -->",
        "<!--><!-- --!<script>a</script>-->",
        "<noscript><script>a</script></noscript><p><noscript><script>b</script></noscript>",
        "<textarea><script>a</script></textarea><title><script>b</script></title>",
        "<style><script>a</script></style><xmp><script>b</script></xmp>",
        "<p title='<script>a</script>'>&lt;script>b&lt;/script>",
        "<iframe><script>a</script></iframe><noembed><script>b</script></noembed>",
        "<plaintext><script>a</script>",
        "<svg><script href=a.js>a</script><script xlink:href=a.js>b</script></svg>",
        "<scripts>a</scripts><script-x>b</script-x>",
    ],
)
def test_what_does_not_run_is_not_hashed(html: str) -> None:
    assert scripts(html) == set()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<script>\r\na\rb\n\r\n</script>", "\na\nb\n\n"),
        (b"<script>a\0b</script>", "a\ufffdb"),
        (b"<script>a\xffb\xe2\x82c</script>", "a\ufffdb\ufffdc"),
        (b"<meta charset=latin1><script>\xc3\xa4</script>", "ä"),
        (b"\xef\xbb\xbf<script>a</script>", "a"),
        (b"\xef\xbb\xbf<script>\xef\xbb\xbfa</script>", "\ufeffa"),
        ("\ufeff<script>ä\r\n</script>".encode("utf-16-le"), "ä\n"),
        ("\ufeff<script>ä\r\n</script>".encode("utf-16-be"), "ä\n"),
    ],
)
def test_bytes_are_decoded_as_a_browser_decodes_them(body: bytes, text: str) -> None:
    assert scripts(body) == sha(text)


def test_event_handlers_are_hashed_apart_from_scripts() -> None:
    page = read_page(
        b"<body ONLOAD='a()'><p onclick=\"b(&quot;x&quot;)\nc()\">"
        b"<img src=x/onerror=no onerror=d()><p onfocus=''><svg onbegin=e()></svg>"
        b"<template><p onclick=f()></template><p>onkeyup='text'</p><p data-onclick=no>"
    )
    assert page.handlers == sha("a()", 'b("x")\nc()', "d()", "e()", "f()")
    assert page.scripts == set()


def test_what_is_loaded_from_other_hosts_is_noted_with_its_directive() -> None:
    page = read_page(
        b"<script src=https://CDN.example/a.js></script><script src=//b.example:8443/x></script>"
        b"<link rel='preload STYLESHEET' href=' http://c.example/c.css'>"
        b"<link rel=stylesheet href=//fonts.googleapis.com/css><link rel=canonical href=//x/>"
        b"<img src=https://me@d.example/d.png><iframe src=https://e.example></iframe>"
        b"<video><source src=//f.example></video><link rel='shortcut icon' href=//g.example/i>"
        b"<img src=/own//path><img src=data:,//x><a href=//h.example><script src=a//b></script>"
        b"<img src='https://[bad'><img src='https://a b/'><img src='//x.example:y/'>"
        b"<img src='//x.example:99999/'>"
    )
    assert page.loads == {
        ("script-src", "https://cdn.example"),
        ("script-src", "https://b.example:8443"),
        ("style-src", "http://c.example"),
        ("style-src", "https://fonts.googleapis.com"),
        ("font-src", "https://fonts.gstatic.com"),
        ("img-src", "https://d.example"),
        ("img-src", "https://g.example"),
        ("frame-src", "https://e.example"),
        ("media-src", "https://f.example"),
    }


def test_documents_within_documents_end() -> None:
    html = "<script>x</script>"
    for _ in range(8):
        html = '<iframe srcdoc="' + html.replace("&", "&amp;").replace('"', "&quot;") + '">'
    assert scripts(html) == sha("x")


def test_several_pages_are_one_by_their_union() -> None:
    one, two = read_page(b"<script>a</script><p onclick=x>"), read_page(b"<script>b</script>")
    both = all_in_one([one, two])
    assert both.scripts == sha("a", "b")
    assert both.handlers == sha("x")
    assert all_in_one([]).scripts == set()
