"""What may be a token."""

import hashlib

import pytest

from gate.tokens import MAX_TOKEN_BYTES, Token, parse


@pytest.mark.parametrize("text", ["a", "abc.def-ghi_jkl~mno+pqr/stu==", "A" * MAX_TOKEN_BYTES])
def test_what_rfc_6750_allows_is_a_token(text: str) -> None:
    assert parse(text) == Token(text)


@pytest.mark.parametrize(
    "text",
    ["", "=", "a=b", "a b", "a\n", "\na", "a\0", "ä", "a;b", "a,b", "a%20", "\udcff", "a" * 4097],
)
def test_everything_else_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_token_does_not_show_itself() -> None:
    assert "secret" not in repr(Token("secret"))


def test_the_fingerprint_is_of_the_whole_token() -> None:
    assert Token("abc").fingerprint == hashlib.sha256(b"abc").hexdigest()
    assert Token("abc").fingerprint != Token("abcd").fingerprint
