"""Content coding, conditions and ranges, as RFC 9110 has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.site.negotiation import Span, Unsatisfiable, acceptable, none_match, single_range

ETAG = '"abc-br"'


@pytest.mark.parametrize(
    ("header", "best_first"),
    [
        (None, ["identity"]),
        ("", ["identity"]),
        ("gzip", ["gzip", "identity"]),
        ("gzip, deflate, br, zstd", ["br", "gzip", "identity"]),
        ("br;q=0.5, gzip;q=0.9", ["gzip", "br", "identity"]),
        ("gzip;q=0", ["identity"]),
        ("gzip;q=0.000, br", ["br", "identity"]),
        ("gzip; Q=0.0", ["identity"]),
        ("GZIP", ["gzip", "identity"]),
        ("x-gzip", ["gzip", "identity"]),
        ("*", ["br", "gzip", "identity"]),
        ("*;q=0.1, gzip;q=0", ["br", "identity"]),
        ("identity, gzip;q=0.5", ["identity", "gzip"]),
        ("identity;q=0.5, gzip;q=0.5", ["gzip", "identity"]),
        ("deflate, zstd", ["identity"]),
        # refused or not, plain bytes beat no answer
        ("identity;q=0, gzip", ["gzip", "identity"]),
        ("identity;q=0", ["identity"]),
        ("*;q=0", ["identity"]),
        # what is no weight promises nothing
        ("gzip;q=yes", ["identity"]),
        ("gzip;q=7", ["identity"]),
        (",, ;;,gzip,", ["gzip", "identity"]),
    ],
)
def test_codings_are_ranked_by_weight_and_then_by_size(
    header: str | None, best_first: list[str]
) -> None:
    assert list(acceptable(header)) == best_first


@given(st.text(max_size=60))
def test_any_accept_encoding_leaves_plain_bytes_as_a_last_resort(header: str) -> None:
    assert "identity" in acceptable(header)


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"other", {ETAG}', True),
        (f'"other",W/{ETAG} , "more"', True),
        ("*", True),
        (" * ", True),
        ('"abc"', False),
        ("abc-br", False),
        ("", False),
        ('"*"', False),
        ('"a, b"', False),
    ],
)
def test_if_none_match_compares_weakly_and_whole_tags(header: str, matches: bool) -> None:
    assert none_match(header, ETAG) is matches


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-9", (0, 9)),
        ("bytes=3-5", (3, 5)),
        ("bytes=5-", (5, 9)),
        ("bytes=5-999", (5, 9)),
        ("bytes=-3", (7, 9)),
        ("bytes=-999", (0, 9)),
        ("Bytes= 1-2 ", (1, 2)),
        ("bytes=0-" + "9" * 5000, (0, 9)),
    ],
)
def test_a_single_range_is_cut_to_the_size(header: str, span: tuple[int, int]) -> None:
    assert single_range(header, None, ETAG, 10) == Span(*span, 10)


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,3-4",
        "bytes=5-2",
        "bytes=-",
        "bytes=",
        "bytes",
        "lines=0-1",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1-2-3",
        "bytes=٣-٤",
        "",
    ],
)
def test_a_range_that_is_not_single_and_well_formed_is_ignored(header: str) -> None:
    assert single_range(header, None, ETAG, 10) is None


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=" + "9" * 5000 + "-"]
)
def test_a_range_outside_the_file_is_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        single_range(header, None, ETAG, 10)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1"])
def test_no_range_of_an_empty_file_can_be_satisfied(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        single_range(header, None, ETAG, 0)


@pytest.mark.parametrize(
    ("if_range", "honoured"),
    [
        (None, True),
        (ETAG, True),
        (f" {ETAG} ", True),
        (f"W/{ETAG}", False),
        ('"other"', False),
        (f'{ETAG}, "other"', False),
        ("Sat, 21 Nov 2026 06:00:00 GMT", False),
        ("*", False),
        ("", False),
    ],
)
def test_if_range_honours_only_exactly_this_strong_tag(
    if_range: str | None, honoured: bool
) -> None:
    assert (single_range("bytes=0-1", if_range, ETAG, 10) is not None) is honoured


def test_if_range_of_another_version_asks_for_the_whole_even_where_the_range_is_outside() -> None:
    assert single_range("bytes=99-", '"other"', ETAG, 10) is None
