"""What a request brings and where it comes from: the rules, without a server."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from gate.config.settings import IntakeSettings
from gate.intake import (
    AllowedOrigins,
    Reader,
    Target,
    comes_from,
    framed_by,
    is_navigation,
    may_take_query,
    next_path,
    origin_of,
    return_path,
    target_of,
)
from gate.scope import Scope
from gate.site.index import Site, read_site
from tests.conftest import DATA

READER = Reader(IntakeSettings())


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.fixture(scope="module")
def site() -> Site:
    return read_site(DATA, public=(), memory_bytes=0)


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        ("/", Target("/", "")),
        ("/a/b?c=d?e", Target("/a/b", "c=d?e")),
        ("/%2e%2E?%00", Target("/%2e%2E", "%00")),
        ("//evil.example/a", Target("//evil.example/a", "")),
        ("http://gate.example/a?b", Target("/a", "b")),
        ("HTTPS://gate.example", Target("/", "")),
        ("http://gate.example?b", Target("/", "b")),
    ],
)
def test_a_target_is_split_and_left_encoded(raw: str, target: Target) -> None:
    assert target_of(raw) == target


@pytest.mark.parametrize(
    "raw",
    ["", "*", "a/b", "ftp://gate.example/", "gate.example:443", "/a#b", "/a?b#c", "?a=b",
     "/\t/evil.example", "/a b", "/a\r\nb", "/\x00", "/\x7f", "/ü", "/\udcff", "/?q=\udcff"],
)  # fmt: skip
def test_a_target_that_no_url_has_is_none(raw: str) -> None:
    assert target_of(raw) is None


@pytest.mark.parametrize(
    ("query", "tokens", "rest"),
    [
        ("", [], ""),
        ("a=1&b=%20&&c", [], "a=1&b=%20&&c"),
        ("token=t", ["t"], ""),
        ("a=1&token=t&b=%zz&b=+", ["t"], "a=1&b=%zz&b=+"),
        ("to%6ben=t&x=%74oken", ["t"], "x=%74oken"),
        ("%74%6F%6B%65%6E=t", ["t"], ""),
        ("token=a&x=1&token=b", ["a", "b"], "x=1"),
        ("token=", [""], ""),
        ("token", [""], ""),
        ("token=a=b==", ["a=b=="], ""),
        ("token=a%2Bb+c", ["a+b+c"], ""),
        ("token=%FF", ["\ufffd"], ""),
        ("Token=t&tokens=t&xtoken=t&token%20=t", [], "Token=t&tokens=t&xtoken=t&token%20=t"),
        ("to%256ben=t", [], "to%256ben=t"),
        ("a=token=t", [], "a=token=t"),
        ("a;token=t", [], "a;token=t"),
    ],
)
def test_pairs_whose_decoded_name_is_the_tokens_are_taken_out_and_the_rest_left_as_it_is(
    query: str, tokens: list[str], rest: str
) -> None:
    assert (READER.query_tokens(query), READER.without_token(query)) == (tokens, rest)


def test_the_query_parameter_has_the_configured_name_or_none() -> None:
    named, off = Reader(IntakeSettings(query="t")), Reader(IntakeSettings(query=""))
    assert (named.query_tokens("t=1&token=2"), named.without_token("t=1&token=2")) == (
        ["1"],
        "token=2",
    )
    assert (off.query_tokens("token=2&=3"), off.without_token("token=2&=3")) == ([], "token=2&=3")


@pytest.mark.parametrize(
    ("values", "tokens"),
    [
        (["Bearer t"], ["t"]),
        (["bearer t"], ["t"]),
        (["BEARER   t "], ["t"]),
        (["Bearer"], [""]),
        (["Bearer a b"], ["a b"]),
        (["Basic dXNlcjpwYXNz"], []),
        (["Digest Bearer t"], []),
        (["Bearert"], []),
        ([""], []),
        ([], []),
        (["Basic x", "Bearer t"], ["t"]),
        (["Bearer a", "Bearer b"], ["a", "b"]),
    ],
)
def test_only_the_bearer_scheme_brings_a_token(values: list[str], tokens: list[str]) -> None:
    brought = headers(*(("Authorization", value) for value in values))
    assert READER.bearer_tokens(brought) == tokens
    assert Reader(IntakeSettings(bearer=False)).bearer_tokens(brought) == []


NAVIGATE = ("Sec-Fetch-Mode", "navigate")


@pytest.mark.parametrize(
    ("method", "pairs", "may"),
    [
        ("GET", [], True),
        ("GET", [NAVIGATE], True),
        ("HEAD", [NAVIGATE], False),
        ("POST", [NAVIGATE], False),
        *[("GET", [("Sec-Fetch-Mode", m)], False) for m in ("cors", "no-cors", "same-origin", "")],
        ("GET", [NAVIGATE, ("Sec-Purpose", "prefetch")], False),
        ("GET", [("Sec-Purpose", "prefetch;prerender")], False),
        ("GET", [("Sec-Purpose", "")], False),
    ],
)
def test_a_token_in_the_query_counts_for_a_get_that_opens_a_page(
    method: str, pairs: list[tuple[str, str]], may: bool
) -> None:
    assert may_take_query(method, headers(*pairs)) is may


@pytest.mark.parametrize(
    ("pairs", "person"),
    [
        ([NAVIGATE], True),
        ([("Sec-Fetch-Mode", "cors"), ("Accept", "text/html")], False),
        ([("Accept", "text/html,*/*;q=0.8")], True),
        ([("Accept", "*/*")], False),
        ([], False),
    ],
)
def test_a_person_gets_a_page(pairs: list[tuple[str, str]], person: bool) -> None:
    assert is_navigation(headers(*pairs)) is person


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Portal.Example/path?x#y", "https://portal.example"),
        ("https://portal.example:443", "https://portal.example"),
        ("http://portal.example:80/", "http://portal.example"),
        ("http://portal.example:443/", "http://portal.example:443"),
        ("http://[::1]:8081/", "http://[::1]:8081"),
        ("https://portal.example@evil.example/", "https://evil.example"),
        ("about:blank", None),
        ("null", None),
        ("", None),
        ("https://", None),
        ("https://portal.example:port", None),
        ("https://[::1", None),
        ("file:///etc/passwd", None),
    ],
)
def test_an_origin_is_spelt_as_browsers_send_it(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


def addressed(host: str) -> Scope:
    """What is known of a request to the gate at this host."""
    return Scope(path="/", address="192.0.2.1", scheme="http", host=host)


@pytest.mark.parametrize(
    ("origin", "public_url", "known"),
    [
        ("https://portal.example", "", True),
        ("http://gate.example:8080", "", True),
        ("http://gate.example:8080", "https://docs.example/", False),
        ("https://docs.example", "https://docs.example/", True),
        ("https://gate.example:8080", "", False),
        ("http://gate.example", "", False),
        ("https://portal.example:8443", "", False),
        ("https://portal.example.evil.example", "", False),
        ("https://portal.example/", "", False),
        ("null", "", False),
        ("", "", False),
        (None, "", False),
    ],
)
def test_an_origin_is_ours_or_allowed_or_a_strangers(
    origin: str | None, public_url: str, known: bool
) -> None:
    origins = AllowedOrigins(["https://portal.example"], public_url)
    assert origins.knows(origin, addressed("Gate.Example:8080")) is known


def test_a_request_without_a_host_has_no_origin_that_anything_could_equal() -> None:
    origins = AllowedOrigins([], "")
    assert origins.own(addressed("")) is None
    assert not origins.knows(None, addressed(""))


@pytest.mark.parametrize(
    ("values", "origin"),
    [([], None), (["https://a"], "https://a"), (["https://a", "https://a"], None)],
)
def test_several_origins_are_none(values: list[str], origin: str | None) -> None:
    assert comes_from(headers(*(("Origin", value) for value in values))) == origin


REFERER = ("Referer", "https://evil.example/")
CROSS, SAME = ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site")


@pytest.mark.parametrize(
    ("pairs", "page"),
    [
        *[([CROSS, ("Sec-Fetch-Dest", dest), REFERER], REFERER[1])
          for dest in ("iframe", "frame", "embed", "object", "fencedframe")],
        ([CROSS, ("Sec-Fetch-Dest", "document"), REFERER], None),
        ([SAME, ("Sec-Fetch-Dest", "iframe"), REFERER], None),
        ([CROSS, ("Sec-Fetch-Dest", "iframe")], None),
        ([REFERER], None),
    ],
)  # fmt: skip
def test_the_framing_page_is_the_referer_of_a_cross_site_frame(
    pairs: list[tuple[str, str]], page: str | None
) -> None:
    assert framed_by(headers(*pairs)) == page


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/", "", "/"),
        ("/guide", "", "/guide/"),
        ("/guide", "x=%31&y", "/guide/?x=%31&y"),
        ("/gu%69de", "", "/guide/"),
        ("/nowhere", "a=b", "/nowhere?a=b"),
        ("//evil.example/a", "", "/evil.example/a"),
        ("/\\evil.example", "", "/evil.example"),
        ("/\\/\\//evil.example", "", "/evil.example"),
        ("/%2f%2fevil.example", "", "/%2f%2fevil.example"),
        ("/a//b", "", "/a//b"),
    ],
)
def test_an_intake_returns_to_the_canonical_path_or_the_same_unknown_one(
    site: Site, path: str, query: str, location: str
) -> None:
    assert return_path(path, query, site) == location


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/guide/", "/guide/"),
        ("/guide", "/guide/"),
        ("/gu%69de/?x=%31&y#deep", "/guide/?x=%31&y#deep"),
        ("/guide/?token=t&x=1&to%6ben=u", "/guide/?x=1"),
        ("/guide/#a?b#c", "/guide/#a?b#c"),
        ("/guide/?q=ü b", "/guide/?q=%C3%BC%20b"),
        ("/guide/?q=\udcff", "/guide/?q=?"),
        ("/", "/"),
        # no path of this site, in any spelling
        *[(wanted, "/") for wanted in (
            "", "guide/", "/nowhere", "//guide/", "/\\guide/", "\\guide/", "https://gate/guide/",
            "//evil.example/guide/", "/%2fguide/", "/guide%2f", "/./guide/", "/x/../guide/",
            "javascript:alert(1)", "/guide/\r\nX: y", "/guide/?a=\r\nX:%20y", "/guide/#\t",
            " /guide/", "/guide/ ", "/-/sign-out", "/-/signed-out", "?x", "#x", "/\udcff/%41",
        )],
    ],
)  # fmt: skip
def test_next_is_the_indexs_own_spelling_of_a_path_of_this_site_or_the_start_page(
    site: Site, wanted: str, location: str
) -> None:
    assert next_path(wanted, site, READER) == location


@given(wanted=st.text(alphabet="/\\%2fFgui.de?#@:\t\r\n \u202e\udcff;", max_size=24))
def test_no_next_leaves_the_site_or_breaks_a_header(site: Site, wanted: str) -> None:
    for start in ("", "/guide/", "//"):
        assert re.fullmatch(r"/(?![/\\])[!-~]*", next_path(start + wanted, site, READER))


@given(path=st.text(alphabet="/\\%2fevil.com@:;", min_size=1, max_size=24))
def test_no_return_path_names_another_host(site: Site, path: str) -> None:
    assert re.match(r"/(?![/\\])", return_path("/" + path, "", site))
