"""JWTs: which tokens are good, and every known way to make one that only looks so.

Each attack starts from a token that would be good, so that it fails for the one reason it names.
"""

import hmac
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gate.cache import Verdict
from gate.config.settings import IntrospectionSettings, JwtSettings, VerifySettings
from gate.tokens import MAX_TOKEN_BYTES, Token
from gate.tokens import parse as parse_token
from gate.verify.jose.keys import of_jwks
from gate.verify.jose.refusal import Refusal
from gate.verify.jose.verifier import JwtVerifier, SignedToken, parse
from gate.verify.presets import make_verifier
from tests.fakes import FakeClock
from tests.signing import AUDIENCE, CLAIMS, ISSUER, NOW, Signer, as_json, b64, jwks, signed

NO = Verdict(active=False)
EC = Signer()
RSA = Signer("RS256", "RSA 2048", "rsa")
ED = Signer("EdDSA", "Ed25519", "ed")
SECRET = b"0123456789abcdef" * 4

MakeVerifier = Callable[..., Awaitable[JwtVerifier]]


@pytest.fixture
async def make_verifier_of(clock: FakeClock, tmp_path: Path) -> AsyncIterator[MakeVerifier]:
    """A verifier with a key file: `await make(raw, leeway=0)`."""
    async with AsyncExitStack() as stack:

        async def make(
            raw: bytes | None = None, verify: dict[str, Any] | None = None, **jwt: Any
        ) -> JwtVerifier:
            file = tmp_path / "keys"
            file.write_bytes(as_json(jwks(EC, RSA, ED)) if raw is None else raw)
            whole = {"key_file": file, "issuer": ISSUER, "audience": AUDIENCE, **jwt}
            verifier = make_verifier(
                VerifySettings.model_validate({"preset": "jwt", **(verify or {})}),
                IntrospectionSettings(),
                JwtSettings.model_validate(whole),
                session_expires="/session_end",
                clock=clock.monotonic,
                wall=clock.wall,
            )
            assert isinstance(verifier, JwtVerifier)
            return await stack.enter_async_context(verifier)

        yield make


@pytest.fixture
async def verifier(make_verifier_of: MakeVerifier) -> JwtVerifier:
    return await make_verifier_of()


async def is_good(verifier: JwtVerifier, text: str) -> bool:
    verdict = await verifier.verify(Token(text))
    assert verdict.active or verdict == NO, "a no tells nothing about the token"
    return verdict.active


# What is good


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("RS256", "RSA 2048"),
        ("RS384", "RSA 2048"),
        ("RS512", "RSA 2048"),
        ("PS256", "RSA 2048"),
        ("PS384", "RSA 2048"),
        ("PS512", "RSA 2048"),
        ("ES256", "P-256"),
        ("ES384", "P-384"),
        ("ES512", "P-521"),
        ("EdDSA", "Ed25519"),
        ("EdDSA", "Ed448"),
    ],
)
@pytest.mark.parametrize("pem", [True, False])
async def test_every_algorithm_verifies_with_its_kind_of_key(
    make_verifier_of: MakeVerifier, algorithm: str, kind: str, pem: bool
) -> None:
    signer = Signer(algorithm, kind)
    raw = signer.pem() if pem else as_json(jwks(signer))
    verifier = await make_verifier_of(raw, algorithms=[algorithm])
    assert await is_good(verifier, signer.text())
    assert not await is_good(verifier, Signer(algorithm, kind, number=1).text())


async def test_a_verdict_has_subject_and_end_with_the_leeway_and_nothing_more(
    verifier: JwtVerifier,
) -> None:
    token = EC.token(session_end=NOW + 60, email="ann@portal.example")
    assert await verifier.verify(token) == Verdict(
        active=True, subject="ann", expires=NOW + 630.0, session_expires=NOW + 60.0
    )


@pytest.mark.parametrize(
    ("verify", "claims", "verdict"),
    [
        ({}, {"sub": 7}, Verdict(True, "7", NOW + 630.0)),
        ({}, {"sub": None}, Verdict(True, None, NOW + 630.0)),
        ({"subject": "/user/id"}, {"user": {"id": "x"}}, Verdict(True, "x", NOW + 630.0)),
        ({"subject": ""}, {}, Verdict(True, None, NOW + 630.0)),
        ({"expires": ""}, {}, Verdict(True, "ann", NOW + 630.0)),
        ({"expires": "/until"}, {"until": NOW + 5.5}, Verdict(True, "ann", NOW + 35.5)),
        ({"expires": "/until"}, {"until": NOW + 999}, Verdict(True, "ann", NOW + 630.0)),
        ({"expires": "/until"}, {}, Verdict(True, "ann", NOW + 630.0)),
        ({"expires": "/until"}, {"until": NOW - 31}, NO),
        ({"expires": "/until"}, {"until": "x"}, NO),
        ({}, {"sub": ["ann"]}, NO),
        ({}, {"sub": True}, NO),
        ({}, {"session_end": "soon"}, NO),
    ],
)
async def test_subject_and_end_are_where_the_settings_point_and_exp_holds_besides(
    make_verifier_of: MakeVerifier,
    verify: dict[str, Any],
    claims: dict[str, Any],
    verdict: Verdict,
) -> None:
    verifier = await make_verifier_of(verify=verify)
    assert await verifier.verify(EC.token(**claims)) == verdict


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"aud": AUDIENCE}, True),
        ({"aud": ["other", AUDIENCE]}, True),
        ({"aud": [AUDIENCE]}, True),
        ({"aud": ["other", 7, AUDIENCE]}, True),
        ({"aud": None}, False),
        ({"aud": "other"}, False),
        ({"aud": []}, False),
        ({"aud": [[AUDIENCE]]}, False),
        ({"aud": {AUDIENCE: 1}}, False),
        ({"aud": AUDIENCE.upper()}, False),
        ({"aud": f"{AUDIENCE} other"}, False),
        ({"aud": AUDIENCE[:-1]}, False),
        ({"aud": f"{AUDIENCE}x"}, False),
        ({"aud": ""}, False),
        ({"aud": "*"}, False),
        ({"iss": None}, False),
        ({"iss": ISSUER[:-1]}, False),
        ({"iss": f"{ISSUER}/"}, False),
        ({"iss": f"{ISSUER}.evil.example"}, False),
        ({"iss": ISSUER.upper()}, False),
        ({"iss": [ISSUER]}, False),
        ({"iss": ""}, False),
        ({"exp": NOW + 0.5}, True),
        ({"exp": NOW - 29.9}, True),
        ({"exp": NOW - 30}, False),
        ({"exp": NOW - 10**6}, False),
        ({"exp": 0}, False),
        ({"exp": -1}, False),
        ({"exp": None}, False),
        ({"exp": str(NOW + 600)}, False),
        ({"exp": [NOW + 600]}, False),
        ({"exp": True}, False),
        ({"exp": math.nan}, False),
        ({"exp": math.inf}, False),
        ({"exp": 10**400}, False),
        ({"nbf": NOW + 30}, True),
        ({"nbf": NOW + 30.1}, False),
        ({"nbf": str(NOW)}, False),
        ({"nbf": math.inf}, False),
        ({"nbf": 10**400}, False),
        ({"nbf": False}, False),
        ({"iat": NOW + 30}, True),
        ({"iat": NOW + 31}, False),
        ({"iat": "x"}, False),
    ],
)
async def test_claims_are_judged_one_by_one(
    verifier: JwtVerifier, claims: dict[str, Any], good: bool
) -> None:
    assert await is_good(verifier, EC.text(**claims)) is good


async def test_claims_that_are_null_are_not_absent(verifier: JwtVerifier) -> None:
    assert await is_good(verifier, EC.sign({"alg": "ES256"}, CLAIMS))
    for name in ("exp", "aud", "iss", "nbf", "iat"):
        assert not await is_good(verifier, EC.sign({"alg": "ES256"}, {**CLAIMS, name: None}))


async def test_the_leeway_is_that_of_the_settings(
    make_verifier_of: MakeVerifier, clock: FakeClock
) -> None:
    verifier = await make_verifier_of(leeway=0)
    token = EC.token(nbf=NOW)
    assert (await verifier.verify(token)).expires == NOW + 600
    clock.advance(599)
    assert await is_good(verifier, token.text)
    clock.advance(1)
    assert not await is_good(verifier, token.text)
    assert not await is_good(verifier, EC.text(nbf=clock.unix + 0.1, exp=clock.unix + 9))


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"scope": "docs read"}, True),
        ({"scope": "x read y docs"}, True),
        ({"scp": ["read", "docs", "x"]}, True),
        ({"scp": "docs read"}, True),
        ({"scope": "docs", "scp": ["read"]}, True),
        ({}, False),
        ({"scope": "docs"}, False),
        ({"scope": "docs readonly"}, False),
        ({"scope": "docs,read"}, False),
        ({"scope": "DOCS READ"}, False),
        ({"scp": ["docs read"]}, False),
        ({"scp": ["docs", "read", 7]}, False),
        ({"scope": {"docs": 1, "read": 1}}, False),
        ({"scope": 7}, False),
    ],
)
async def test_every_name_of_the_scope_must_be_there(
    make_verifier_of: MakeVerifier, claims: dict[str, Any], good: bool
) -> None:
    verifier = await make_verifier_of(scope="docs read")
    assert await is_good(verifier, EC.text(**claims)) is good


async def test_without_issuer_or_audience_in_the_settings_nobody_gets_in(
    make_verifier_of: MakeVerifier,
) -> None:
    for missing, claim in {"issuer": "iss", "audience": "aud"}.items():
        verifier = await make_verifier_of(**{missing: ""})
        for value in ("", [""], None):
            claims: dict[str, Any] = {claim: value}
            assert not await is_good(verifier, EC.text(**claims))
        assert not await is_good(verifier, EC.text())


# Algorithms


async def test_alg_none_is_never_good(verifier: JwtVerifier) -> None:
    claims = b64(as_json(CLAIMS))
    for name in ("none", "None", "NONE", "nOnE", "", " "):
        for signature in ("", "AA", EC.text().rpartition(".")[2]):
            header = b64(as_json({"alg": name, "kid": "k1"}))
            assert not await is_good(verifier, f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("raw", [EC.pem(), as_json(jwks(EC)), as_json(EC.jwk())], ids=len)
@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_shared_secret(
    make_verifier_of: MakeVerifier, raw: bytes, name: str
) -> None:
    """The classic confusion: HMAC with what everybody can read."""
    verifier = await make_verifier_of(EC.pem())
    for secret in (raw, raw.strip(), EC.pem(), EC.pem().replace(b"\n", b"")):
        header = {"alg": name, "kid": "k1"}
        parts = f"{b64(as_json(header))}.{b64(as_json(CLAIMS))}"
        signature = hmac.digest(secret, parts.encode(), f"sha{name[2:]}")
        assert not await is_good(verifier, f"{parts}.{b64(signature)}")


async def test_an_algorithm_outside_the_list_is_no_good_with_its_own_key(
    make_verifier_of: MakeVerifier,
) -> None:
    verifier = await make_verifier_of(as_json(jwks(EC, RSA)), algorithms=["RS256"])
    assert await is_good(verifier, RSA.text())
    assert not await is_good(verifier, EC.text())
    for name in ("RS512", "PS256"):
        assert not await is_good(verifier, Signer(name, "RSA 2048", "rsa").text())


async def test_a_key_that_names_its_algorithm_is_good_for_no_other(
    make_verifier_of: MakeVerifier,
) -> None:
    verifier = await make_verifier_of(as_json({"keys": [RSA.jwk(alg="RS256")]}))
    assert await is_good(verifier, RSA.text())
    assert not await is_good(verifier, Signer("PS256", "RSA 2048", "rsa").text())


async def test_the_header_cannot_make_a_key_another_kind(verifier: JwtVerifier) -> None:
    """The name of the RSA key with the algorithm and signature of the other, and so on around."""
    for signer in (EC, RSA, ED):
        for named in (EC, RSA, ED):
            text = signer.text({"kid": named.kid})
            assert await is_good(verifier, text) is (signer is named)
            mislabelled = signer.text({"alg": named.algorithm})
            assert await is_good(verifier, mislabelled) is (signer is named)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": None},
        {"alg": ["ES256"]},
        {"alg": {"ES256": 1}},
        {"alg": True},
        {"alg": "es256"},
        {"alg": "ES256 "},
        {"alg": "ES256\0"},
        {"alg": "RS256/../ES256"},
    ],
)
async def test_alg_must_be_one_of_the_list_to_the_letter(
    verifier: JwtVerifier, header: dict[str, Any]
) -> None:
    assert not await is_good(verifier, EC.sign({"kid": "k1", **header}, CLAIMS))


async def test_a_shared_secret_verifies_and_its_length_is_kept_to(
    make_verifier_of: MakeVerifier,
) -> None:
    verifier = await make_verifier_of(SECRET + b"\n", algorithms=["HS256", "HS512"])
    for name, good in (("HS256", True), ("HS512", True), ("HS384", False)):
        text = signed(name, SECRET, {"alg": name, "kid": "any"}, CLAIMS)
        assert await is_good(verifier, text) is good
    assert not await is_good(verifier, signed("HS256", SECRET[:-1], {"alg": "HS256"}, CLAIMS))
    assert not await is_good(verifier, EC.text())


# Headers


@pytest.mark.parametrize(
    "kid",
    [
        "k2",
        "K1",
        "k1 ",
        "k1\0",
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "k1' OR '1'='1",
        "k1|id",
        "http://evil.example/jwks",
        "\ud83d\ude00",
        "k" * 2000,
    ],
)
async def test_an_unknown_kid_is_a_no_even_with_a_good_signature(
    verifier: JwtVerifier, kid: str
) -> None:
    assert not await is_good(verifier, EC.text({"kid": kid}))


@pytest.mark.parametrize("kid", [None, 1, True, ["k1"], {"k1": 1}, 1.5])
async def test_a_kid_that_is_no_text_is_a_no(verifier: JwtVerifier, kid: object) -> None:
    assert not await is_good(verifier, EC.sign({"alg": "ES256", "kid": kid}, CLAIMS))


async def test_a_kid_from_anywhere_will_do_where_the_key_file_has_no_names(
    make_verifier_of: MakeVerifier,
) -> None:
    verifier = await make_verifier_of(EC.pem() + RSA.pem())
    for signer in (EC, RSA):
        assert await is_good(verifier, signer.text({"kid": "k2"}))
        assert await is_good(verifier, signer.text({"kid": None}))
    assert not await is_good(verifier, Signer(number=1).text())


OWN = Signer(number=1)  # the attacker's


@pytest.mark.parametrize("kid", ["k1", "own", None])
@pytest.mark.parametrize(
    "header",
    [
        {"jwk": OWN.jwk()},
        {"jwk": OWN.jwk(kid="k1")},
        {"jku": "http://127.0.0.1:1/jwks"},
        {"jku": "file:///etc/passwd"},
        {"x5u": "http://127.0.0.1:1/cert"},
        {"x5c": [b64(OWN.key.public_key().public_numbers().x.to_bytes(32, "big"))]},
        {"x5t": "AA", "x5t#S256": "AA"},
    ],
    ids=lambda header: "-".join(header),
)
async def test_keys_that_a_token_brings_along_are_not_read(
    verifier: JwtVerifier, header: dict[str, Any], kid: str | None
) -> None:
    assert not await is_good(verifier, OWN.text({**header, "kid": kid}))
    assert await is_good(verifier, EC.text(header)), "and do no harm beside a good signature"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": None},
        {"crit": "x"},
        {"b64": False},
        {"b64": True},
    ],
)
async def test_extensions_are_refused(verifier: JwtVerifier, header: dict[str, Any]) -> None:
    whole = {"alg": "ES256", "kid": "k1"}
    assert await is_good(verifier, EC.sign({**whole, "typ": "at+jwt", "new": 1}, CLAIMS))
    assert not await is_good(verifier, EC.sign({**whole, **header}, CLAIMS))


# Spelling


HEADER = as_json({"alg": "ES256", "kid": "k1"})
BODY = json.dumps(CLAIMS)


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg": "none", "alg": "ES256", "kid": "k1"}',
        b'{"alg": "ES256", "kid": "k1", "kid": "k1"}',
        b'["ES256"]',
        b'"ES256"',
        b"null",
        b"",
        b"{}",
        b"\xff",
        b"\xef\xbb\xbf" + HEADER,
        HEADER.decode().encode("utf-16"),
        HEADER + b"x",
        HEADER[:-1],
        b'{"alg": "ES256", "kid": "k1", "x": NaN}',
        b'{"alg": "ES256", "x": ' + b"[" * 1200 + b"]" * 1200 + b"}",
        b'{"alg": "ES256", "x": "\\ud800"}',
    ],
)
async def test_a_header_that_is_no_plain_object_is_a_no(
    verifier: JwtVerifier, header: bytes
) -> None:
    assert await is_good(verifier, EC.sign(HEADER, CLAIMS))
    assert not await is_good(verifier, EC.sign(header, CLAIMS))


@pytest.mark.parametrize(
    "claims",
    [
        f'{{"exp": 1, {BODY[1:]}',
        f'{BODY[:-1]}, "sub": "root"}}',
        f'{BODY[:-1]}, "x": {{"a": 1, "a": 2}}}}',
        f"[{BODY}]",
        json.dumps(BODY),
        "true",
        "null",
        "1",
        "",
        BODY[:-1],
        f"{BODY} {BODY}",
        f'{BODY[:-1]}, "x": NaN}}',
        f'{BODY[:-1]}, "x": -Infinity}}',
        f'{BODY[:-1]}, "x": {"9" * 2500}e}}',
        f'{BODY[:-1]}, "x": {"[" * 1200}{"]" * 1200}}}',
        BODY.replace(f"{NOW + 600}", "1e999"),
        BODY.replace(f"{NOW + 600}", "9" * 1000),
        BODY.replace('"ann"', '"\\ud800"'),
        BODY.replace('"ann"', '"\\uDFFFx"'),
    ],
)
async def test_claims_that_are_no_plain_object_are_a_no(verifier: JwtVerifier, claims: str) -> None:
    assert await is_good(verifier, EC.sign(HEADER, BODY.encode()))
    assert not await is_good(verifier, EC.sign(HEADER, claims.encode()))


async def test_whole_pairs_of_surrogates_and_large_numbers_are_plain_json(
    verifier: JwtVerifier,
) -> None:
    text = BODY.replace('"ann"', '"\\ud83d\\ude00"')[:-1] + f', "x": {"9" * 1000}}}'
    verdict = await verifier.verify(Token(EC.sign(HEADER, text.encode())))
    assert verdict.subject == "\U0001f600"


async def test_what_is_not_three_parts_is_a_no(verifier: JwtVerifier) -> None:
    text = EC.text()
    header, claims, signature = text.split(".")
    for broken in (
        "x",
        ".",
        "..",
        "...",
        "....",
        header,
        f"{header}.{claims}",
        f"{header}.{claims}.",
        f".{claims}.{signature}",
        f"{header}..{signature}",
        f"{text}.",
        f".{text}",
        f"{text}.{signature}",
        f"{text}.{signature}.{signature}",
        f"{header}{claims}.{signature}",
        f"{claims}.{header}.{signature}",
    ):
        assert not await is_good(verifier, broken)


@pytest.mark.parametrize("signer", [EC, RSA, ED, Signer("ES512", "P-521", "big")])
async def test_a_token_has_one_spelling(make_verifier_of: MakeVerifier, signer: Signer) -> None:
    """Padding, another alphabet, stray bits in a last character: the same bytes, another token."""
    raw, names = as_json(jwks(signer)), [signer.algorithm]
    verifier = await make_verifier_of(raw, algorithms=names)
    text = signer.text(x="??>>")  # base64 of which has both letters that alphabets differ in
    assert await is_good(verifier, text)
    assert "-" in text or "_" in text
    parts = text.split(".")
    others = [text.replace("-", "+").replace("_", "/"), text + "=", text + "==", text + "~"]
    for place, part in enumerate(parts):
        for changed in (part + "=", part + "A", part[:-1], _stray_bit(part), part + "\n"):
            others.append(".".join([*parts[:place], changed, *parts[place + 1 :]]))
    for other in others:
        assert other == text or not await is_good(verifier, other), other


def _stray_bit(part: str) -> str:
    """The part with a bit set that decodes to nothing, where it has such."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = len(part) % 4 in (2, 3)
    return part[:-1] + letters[letters.index(part[-1]) ^ 1] if spare else part


async def test_parts_of_two_good_tokens_make_no_third(verifier: JwtVerifier) -> None:
    one, two = EC.text().split("."), EC.text(sub="root").split(".")
    for mixed in ([one[0], two[1], one[2]], [one[0], one[1], two[2]]):
        assert not await is_good(verifier, ".".join(mixed))


@pytest.mark.parametrize("signer", [EC, ED])
async def test_signatures_of_nothing_are_no_good(verifier: JwtVerifier, signer: Signer) -> None:
    """r = s = 0 (CVE-2022-21449) and its kin."""
    parts = signer.text().rpartition(".")[0]
    for raw in (bytes(64), b"\xff" * 64, bytes(63) + b"\1", b"\0", bytes(128), bytes(1000)):
        assert not await is_good(verifier, f"{parts}.{b64(raw)}")


async def test_the_longest_token_is_judged(verifier: JwtVerifier) -> None:
    room = MAX_TOKEN_BYTES - len(EC.text(x=""))
    text = EC.text(x="x" * (room * 3 // 4 - 2))
    assert MAX_TOKEN_BYTES - 8 < len(text) <= MAX_TOKEN_BYTES
    assert await is_good(verifier, text)


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.text(alphabet="ABCabc019-_.~+/=", max_size=80)
    | st.tuples(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60)).map(
        lambda parts: ".".join(map(b64, parts))
    )
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=8,
    ).map(lambda value: EC.sign(value, value))
)
def test_no_garbage_is_more_than_a_none(text: str) -> None:
    token = parse_token(text)
    assert token is None or isinstance(parse(token.text, ["ES256", "RS256"]), Refusal)


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_changed_character_leaves_a_token_good(data: st.DataObject) -> None:
    keys = of_jwks(as_json(jwks(ED)), ["EdDSA"])
    text = ED.text()
    whole = parse(text, ["EdDSA"])
    assert isinstance(whole, SignedToken)
    assert whole.is_by_one_of(keys)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(
        st.sampled_from("ABCDEFabcdef0123456789-_.").filter(lambda c: c != text[place])
    )
    changed = parse(text[:place] + letter + text[place + 1 :], ["EdDSA"])
    assert isinstance(changed, Refusal) or not changed.is_by_one_of(keys)


async def test_no_repr_shows_the_token(verifier: JwtVerifier) -> None:
    text = EC.text(sub="canary")
    signed_token = parse(text, ["ES256"])
    for part in (*text.split("."), "canary"):
        assert part not in repr(signed_token)
        assert part not in repr(verifier)
