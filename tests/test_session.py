"""The sealed cookie: its exact bytes, its limits, and that nothing odd ever opens or fails."""

import base64
import json
import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gate.config.settings import SessionSettings
from gate.seal import Session
from gate.session import SessionSeal, TokenTooLong
from gate.state.keys import Keys
from gate.tokens import MAX_TOKEN_BYTES, Token
from tests.conftest import KEY, OTHER_KEY
from tests.fakes import FakeClock

TOKEN = Token("abc-CANARY.def")
ATTRIBUTES = "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age="
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TICKET = {"recheck": False, "expires": "/end"}


def make_seal(clock: FakeClock, *keys: str, **settings: Any) -> SessionSeal:
    derived = Keys(keys or (KEY,)).derive("cookie")
    return SessionSeal(SessionSettings.model_validate(settings), derived, clock.wall)


@pytest.fixture
def seal(clock: FakeClock) -> SessionSeal:
    return make_seal(clock)


def fresh(seal: SessionSeal, token: Token = TOKEN) -> Session:
    return seal.new(token, expires=None, subject=None)


def cookie(seal: SessionSeal, session: Session | None = None) -> str:
    """The Cookie header that brings a session back."""
    return seal.set_cookie(session or fresh(seal)).partition(";")[0]


def forged(plain: bytes, key: str = KEY, purpose: str = "cookie") -> str:
    """A cookie that holds whatever we want, under a real key."""
    derived = base64.urlsafe_b64encode(Keys([key]).newest(purpose))
    return f"__Host-gate={Fernet(derived).encrypt(plain).decode('ascii')}"


def fields(**changed: object) -> bytes:
    whole = {"i": "1" * 32, "s": 1_800_000_000, "r": 1_800_000_000, "h": "2" * 64, "t": "abc"}
    return json.dumps({**whole, **changed}).encode("utf-8")


# what is written


def test_the_cookie_is_written_byte_for_byte_as_the_contract_says(seal: SessionSeal) -> None:
    written = seal.set_cookie(fresh(seal))
    assert re.fullmatch(rf"__Host-gate=[A-Za-z0-9_=-]+{re.escape(ATTRIBUTES)}3600", written)


def test_the_deletion_has_the_same_attributes_and_no_value(seal: SessionSeal) -> None:
    assert seal.deletion == f"__Host-gate={ATTRIBUTES}0"


def test_the_cookie_is_called_as_configured_behind_its_prefix(clock: FakeClock) -> None:
    seal = make_seal(clock, cookie_name="docs")
    assert seal.set_cookie(fresh(seal)).startswith("__Host-docs=")
    assert seal.deletion.startswith("__Host-docs=;")
    assert seal.open(cookie(seal)) is not None
    assert seal.open(cookie(make_seal(clock))) is None


def test_nothing_of_the_session_can_be_read_in_the_cookie(seal: SessionSeal) -> None:
    session = fresh(seal)
    sealed = base64.urlsafe_b64decode(cookie(seal, session).partition("=")[2])
    for secret in (TOKEN.text, session.id, session.fingerprint):
        assert secret.encode() not in sealed


def test_neither_a_session_nor_what_holds_it_shows_the_token(seal: SessionSeal) -> None:
    session = fresh(seal)
    for shown in (repr(session), str(session), f"{[session]}", repr(seal), repr(TOKEN)):
        assert "CANARY" not in shown
    assert "token" not in repr(session)


@pytest.mark.parametrize(
    ("settings", "gone", "max_age"),
    [
        ({"idle_timeout": 600, "lifetime": 6000}, 0, 600),
        ({"idle_timeout": 600, "lifetime": 6000}, 5399, 600),
        ({"idle_timeout": 600, "lifetime": 6000}, 5500, 500),
        ({"idle_timeout": 600, "lifetime": 6000}, 5999, 1),
        ({"idle_timeout": 600, "lifetime": 6000}, 7000, 0),
        ({"idle_timeout": 600, "lifetime": 60}, 0, 60),
        ({"idle_timeout": 0.5, "lifetime": 60}, 0, 0),
    ],
)
def test_max_age_is_the_smaller_of_idle_time_and_lifetime_left(
    clock: FakeClock, settings: dict[str, float], gone: float, max_age: int
) -> None:
    seal = make_seal(clock, **settings)
    session = fresh(seal)
    clock.advance(gone)
    assert seal.set_cookie(seal.renewed(session)).endswith(f"; Max-Age={max_age}")


# what fits


@pytest.mark.parametrize("settings", [{}, {"idle_timeout": 1}, {"cookie_name": "x" * 64}])
def test_a_cookie_has_4096_bytes_at_most_and_tokens_up_to_that_fit(
    clock: FakeClock, settings: dict[str, Any]
) -> None:
    seal = make_seal(clock, **settings)
    fitting = [n for n in range(2400, 3000) if seal.fits(fresh(seal, Token("x" * n)))]
    longest = fitting[-1]
    assert fitting == list(range(2400, longest + 1))
    assert longest >= 2600
    # base64 grows by steps of several bytes, and eight digits of Max-Age are allowed for
    assert 4096 - 40 <= len(seal.set_cookie(fresh(seal, Token("x" * longest)))) <= 4096


def test_what_fits_is_what_can_be_written(seal: SessionSeal) -> None:
    for length in range(2600, 2800):
        session = fresh(seal, Token("x" * length))
        if seal.fits(session):
            assert len(seal.set_cookie(session)) <= 4096
        else:
            with pytest.raises(TokenTooLong):
                seal.set_cookie(session)


def test_what_does_not_fit_raises_and_the_exception_does_not_show_it(seal: SessionSeal) -> None:
    session = fresh(seal, Token("CANARY" * 600))
    assert not seal.fits(session)
    with pytest.raises(TokenTooLong) as caught:
        seal.set_cookie(session)
    assert "CANARY" not in repr(caught.value)


def test_a_session_that_fitted_fits_when_it_is_renewed_under_longer_limits(
    clock: FakeClock,
) -> None:
    short = make_seal(clock, idle_timeout=1, lifetime=2)
    longest = max(
        (fresh(short, Token("x" * n)) for n in range(2400, 3000)),
        key=lambda session: len(session.token.text) if short.fits(session) and session.token else 0,
    )
    long = make_seal(clock, idle_timeout=34_560_000, lifetime=34_560_000)
    assert long.fits(long.renewed(longest))


def test_a_ticket_fits_however_long_its_token_was(clock: FakeClock) -> None:
    seal = make_seal(clock, **TICKET)
    assert seal.fits(fresh(seal, Token("x" * MAX_TOKEN_BYTES)))


# what opens


def test_what_was_sealed_opens_as_the_same_session(seal: SessionSeal) -> None:
    session = fresh(seal)
    assert seal.open(cookie(seal, session)) == session
    assert session.token == TOKEN
    assert session.holds(TOKEN)
    assert not session.holds(Token("another"))


def test_a_ticket_keeps_its_end_and_subject_and_not_its_token(clock: FakeClock) -> None:
    seal = make_seal(clock, **TICKET)
    session = seal.new(TOKEN, expires=1_800_000_060.5, subject="ünal\ud800")
    opened = seal.open(cookie(seal, session))
    assert opened == session
    assert (opened.token, opened.expires, opened.subject) == (None, 1_800_000_060.5, "ünal\ud800")
    assert opened.holds(TOKEN)


def test_only_tickets_keep_what_the_verify_api_said(seal: SessionSeal) -> None:
    session = seal.new(TOKEN, expires=5.0, subject="anna")
    assert (session.expires, session.subject) == (None, None)


def test_every_session_has_an_id_of_its_own(seal: SessionSeal) -> None:
    assert len({fresh(seal).id for _ in range(100)}) == 100


def test_another_process_with_the_same_key_opens_it(clock: FakeClock, seal: SessionSeal) -> None:
    assert make_seal(clock).open(cookie(seal)) is not None


def test_every_key_opens_and_the_newest_seals(clock: FakeClock, seal: SessionSeal) -> None:
    old = cookie(seal)
    rotated = make_seal(clock, OTHER_KEY, KEY)
    assert rotated.open(old) is not None
    assert make_seal(clock, OTHER_KEY).open(cookie(rotated)) is not None
    assert make_seal(clock, OTHER_KEY).open(old) is None


def test_the_cookie_is_found_among_others_wherever_it_stands(seal: SessionSeal) -> None:
    ours = cookie(seal)
    for header in (f"a=1; {ours}", f"{ours};b", f"=; x=__Host-gate;\t{ours} ;;", f'q="a; {ours}'):
        assert seal.open(header) is not None


@pytest.mark.parametrize(
    "header", [None, "", "a=1", "__Host-gate", "__Host-gate=", "__host-gate=x"]
)
def test_without_the_cookie_there_is_no_session(seal: SessionSeal, header: str | None) -> None:
    assert seal.open(header) is None


@pytest.mark.parametrize(
    "spelling",
    ["{0}; {0}", "{0}; __Host-gate=", "__Host-gate=x; {0}", "{0}; {1}"],
)
def test_two_cookies_of_our_name_are_no_session(
    clock: FakeClock, seal: SessionSeal, spelling: str
) -> None:
    assert seal.open(spelling.format(cookie(seal), cookie(seal))) is None


def test_a_cookie_that_is_cut_or_changed_anywhere_is_no_session(seal: SessionSeal) -> None:
    name, _, sealed = cookie(seal).partition("=")
    # the last character before the padding has bits that mean nothing
    for at in range(len(sealed.rstrip("=")) - 1):
        other = "A" if sealed[at] != "A" else "B"
        assert seal.open(f"{name}={sealed[:at]}") is None
        assert seal.open(f"{name}={sealed[:at]}{other}{sealed[at + 1 :]}") is None


@hypothesis_settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_in_the_cookie_are_no_session_and_no_error(value: bytes) -> None:
    seal = make_seal(FakeClock())
    text = value.decode("utf-8", "surrogateescape")  # as aiohttp hands headers over
    assert seal.open(f"__Host-gate={text}") is None
    assert seal.open(text) is None


@hypothesis_settings(deadline=None)
@given(st.sampled_from("isrhteu"), JSON)
def test_any_json_under_our_own_key_is_a_session_or_none_and_no_error(
    name: str, value: object
) -> None:
    seal = make_seal(FakeClock())
    assert seal.open(forged(json.dumps(value).encode("utf-8"))) is None
    opened = seal.open(forged(fields(**{name: value})))
    if opened is not None:
        assert len(seal.set_cookie(opened)) <= 4096
        seal.alive(opened)


@pytest.mark.parametrize(
    "plain",
    [b"", b"{}", b"[]", b"null", b"\xff", b"{", b'"t"', fields()[:-1]]
    + [fields(**{name: None}) for name in "isrh"]
    + [fields(s="1800000000"), fields(r="1800000000"), fields(s=True), fields(i=1), fields(h=[])]
    + [fields(t=""), fields(t="a b"), fields(t="x" * 4097), fields(t=1)]
    + [fields(e="soon"), fields(e=True), fields(u=7)],
)
def test_other_content_under_our_own_key_is_no_session(seal: SessionSeal, plain: bytes) -> None:
    assert seal.open(forged(fields())) is not None
    assert seal.open(forged(plain)) is None


def test_a_value_sealed_for_another_purpose_does_not_open(seal: SessionSeal) -> None:
    assert seal.open(forged(fields(), purpose="cookie")) is not None
    assert seal.open(forged(fields(), purpose="path")) is None


def test_a_cookie_that_does_not_open_leaves_a_debug_line_at_most(
    seal: SessionSeal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    seal.open("__Host-gate=CANARY")
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "CANARY" not in caplog.text
