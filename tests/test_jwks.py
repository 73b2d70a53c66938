"""The keys: which of a JWKS or a file may verify, and when the address is asked."""

import asyncio
import base64
import gc
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gate.cache import Verdict
from gate.config.settings import JwtSettings, VerifySettings
from gate.tokens import Token
from gate.verify.jose.keys import (
    MAX_JWKS_BYTES,
    MAX_KEYS,
    MAX_TRIES,
    KeySet,
    UnusableKey,
    of_file,
    of_jwks,
)
from gate.verify.jose.sources import GONE_AFTER, PAUSE, REFRESH_AFTER
from gate.verify.jose.verifier import JwtVerifier
from gate.verify.judge import VerifyUnavailable
from tests.fakes import FakeApi, FakeClock
from tests.signing import AUDIENCE, ISSUER, NOW, Signer, as_json, b64, jwks

NO = Verdict(active=False)
EC, OTHER, THIRD = Signer(), Signer(kid="k2", number=1), Signer(kid="k3", number=2)
RSA = Signer("RS256", "RSA 2048", "rsa")
DEFAULT = ("RS256", "ES256", "EdDSA", "PS256")


def read(*entries: object, allowed: tuple[str, ...] = DEFAULT) -> KeySet:
    return of_jwks(as_json({"keys": list(entries)}), allowed)


# What may verify


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"kty": "oct", "k": b64(b"x" * 32), "kid": "k1"}, "secret key"),
        ({"kty": "oct", "k": b64(b"x" * 32), "alg": "ES256"}, "secret key"),
        ({**EC.jwk(), "d": "AA"}, "secret key"),
        (EC.jwk(kty="ec"), "unknown kind"),
        (EC.jwk(kty=None), "unknown kind"),
        (EC.jwk(kty=7), "unknown kind"),
        (EC.jwk(kty="RSA"), "lacks"),
        (EC.jwk(x=None), "lacks"),
        (EC.jwk(x=7), "lacks"),
        (EC.jwk(x=b64(b"\1" * 32)), "cannot be read"),
        (EC.jwk(x="!"), "cannot be read"),
        (EC.jwk(crv="P-384"), "cannot be read"),
        (EC.jwk(crv="P-999"), "cannot be read"),
        (RSA.jwk(e=b64(b"\1")), "cannot be read"),
        (RSA.jwk(e=b64(b"\2")), "cannot be read"),
        (EC.jwk(kid=7), "kid"),
        (EC.jwk(kid=["k1"]), "kid"),
        (Signer("RS256", "RSA 1024").jwk(), "1024 bits"),
        (RSA.jwk(n=b64(b"\xff" * 1025)), "8200 bits"),
        (RSA.jwk(n=b64(b"\xff" * 150_000)), "too large"),
        ([EC.jwk()], "no object"),
        ("k1", "no object"),
        (None, "no object"),
    ],
)
def test_a_key_that_must_not_verify_is_ignored_and_somebody_is_told(
    entry: object, why: str
) -> None:
    found = read(entry, OTHER.jwk())
    assert [key.kid for key in found.keys] == ["k2"]
    (told,) = found.suspicious
    assert told.startswith("key 1 ")
    assert why in told


@pytest.mark.parametrize(
    "entry",
    [
        EC.jwk(use="enc"),
        EC.jwk(use="SIG"),
        EC.jwk(use=["sig"]),
        EC.jwk(key_ops=["sign"]),
        EC.jwk(key_ops=[]),
        EC.jwk(key_ops="verify"),
        EC.jwk(alg="ECDH-ES"),
        EC.jwk(alg="RS256"),
        EC.jwk(alg="HS256"),
        EC.jwk(alg=["ES256"]),
        Signer("ES384", "P-384").jwk(),
        Signer("ES256", "secp256k1").jwk(),
    ],
)
def test_a_key_for_another_purpose_is_ignored_in_silence(entry: object) -> None:
    found = read(entry, OTHER.jwk())
    assert [key.kid for key in found.keys] == ["k2"]
    assert len(found.ignored) == 1
    assert found.suspicious == ()


def test_a_key_is_good_for_the_algorithms_of_its_kind_that_are_allowed() -> None:
    found = read(EC.jwk(use=None), RSA.jwk(), RSA.jwk(alg="PS256", key_ops=["verify"]))
    assert [set(key.algorithms) for key in found.keys] == [
        {"ES256"},
        {"RS256", "PS256"},
        {"PS256"},
    ]
    everything = ("ES256", "ES384", "HS256", "RS256", "EdDSA")
    assert [set(key.algorithms) for key in read(EC.jwk(), allowed=everything).keys] == [{"ES256"}]


@pytest.mark.parametrize("kind", ["RSA 2048", "RSA 8192"])
def test_the_bounds_of_rsa_are_taken(kind: str) -> None:
    if kind == "RSA 8192":  # making one takes a minute; reading does not ask for its factors
        number = int.from_bytes(b"\xff" * 1023 + b"\xfd", "big")
        entry = RSA.jwk(n=b64(number.to_bytes(1024, "big")))
    else:
        entry = RSA.jwk()
    assert len(read(entry).keys) == 1


def test_few_keys_are_read_and_fewer_are_tried_on_one_token() -> None:
    found = read(*[EC.jwk(kid="same")] * (MAX_KEYS + 1))
    assert len(found.keys) == MAX_KEYS
    assert found.suspicious
    assert len(found.suitable("same", "ES256")) == MAX_TRIES
    assert len(found.suitable(None, "ES256")) == MAX_TRIES


def test_the_name_decides_which_keys_are_tried() -> None:
    unnamed = Signer(kid=None, number=3)
    found = read(EC.jwk(), OTHER.jwk(), RSA.jwk(), EC.jwk(kid="k2"), unnamed.jwk())

    def tried(kid: str | None, algorithm: str = "ES256") -> list[str | None]:
        return [key.kid for key in found.suitable(kid, algorithm)]

    assert tried("k1") == ["k1"]
    assert tried("k2") == ["k2", "k2"]
    assert tried("rsa") == []
    assert tried("rsa", "PS256") == ["rsa"]
    assert tried("new") == [None]
    assert tried(None) == ["k1", "k2", "k2", None]
    assert tried(None, "HS256") == []


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b'{"keys": "x"}', b"<html>",
        b'{"keys": [], "keys": []}', as_json(EC.jwk()), as_json([EC.jwk()]), b"[" * 100_000,
        b'{"keys": [NaN]}', as_json(jwks(EC)).decode().encode("utf-16"), b"\xff",
    ],
)  # fmt: skip
def test_what_is_no_jwks_is_an_error_and_not_an_empty_one(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^no"):
        of_jwks(raw, DEFAULT)


@pytest.mark.parametrize(
    ("raw", "allowed", "why"),
    [
        (b"", DEFAULT, "neither"),
        (b"x" * 64, DEFAULT, "neither"),
        (b'{"keys": []}', DEFAULT, "it is empty"),
        (b"{}", DEFAULT, "no JWKS"),
        (as_json({"keys": [EC.jwk(use="enc")]}), DEFAULT, "key 1 is not for signatures"),
        (as_json(EC.jwk()), DEFAULT, "no JWKS"),
        (EC.private_pem(), DEFAULT, "private key"),
        (EC.pem() + RSA.private_pem(), DEFAULT, "private key"),
        (EC.pem(), ("RS256",), "no algorithm"),
        (EC.pem() + Signer("RS256", "RSA 1024").pem(), DEFAULT, "1024 bits"),
        (EC.pem().replace(b"PUBLIC KEY", b"CERTIFICATE"), DEFAULT, "certificate"),
        (EC.pem().replace(b"M", b"N", 1), DEFAULT, "cannot be read"),
        (b"x" * (MAX_JWKS_BYTES + 1), DEFAULT, "larger"),
        (b"x" * 31, ("HS256",), "short secret"),
        (b"x" * 31 + b"\r\n\n", ("HS256",), "short secret"),
        (b"x" * 63, ("HS256", "HS512"), "short secret"),
        (b"x" * 47, ("HS384",), "short secret"),
        (EC.pem(), ("HS256",), "not for HMAC"),
        (EC.private_pem(), ("HS256",), "not for HMAC"),
        (as_json(EC.jwk()), ("HS256",), "not for HMAC"),
        (as_json(jwks(EC)), ("HS256",), "not for HMAC"),
        (base64.b64decode(b"".join(EC.pem().splitlines()[1:-1])), ("HS256",), "not for HMAC"),
        (b"x" * 64, ("HS256", "RS256"), "cannot be"),
        (EC.pem(), ("ES256", "HS256"), "cannot be"),
    ],
)
def test_other_key_files_are_refused(raw: bytes, allowed: tuple[str, ...], why: str) -> None:
    with pytest.raises(UnusableKey, match=why) as caught:
        of_file(raw, allowed)
    assert "xxxxx" not in str(caught.value)


def test_no_repr_shows_a_secret() -> None:
    assert "xxxxx" not in repr(of_file(b"x" * 64, ("HS256",)))


# When the address is asked

Tamper = Callable[[web.Request], Awaitable[web.StreamResponse]]
MakeVerifier = Callable[..., Awaitable[JwtVerifier]]


@pytest.fixture
async def make_verifier(api: FakeApi, clock: FakeClock) -> AsyncIterator[MakeVerifier]:
    async with AsyncExitStack() as stack:

        async def make(**verify: Any) -> JwtVerifier:
            api.say(jwks(EC, RSA))
            whole = {"preset": "jwt", "url": api.url, **verify}
            verifier = JwtVerifier(
                VerifySettings.model_validate(whole),
                JwtSettings(issuer=ISSUER, audience=AUDIENCE),
                clock=clock.monotonic,
                wall=clock.wall,
            )
            return await stack.enter_async_context(verifier)

        yield make


@pytest.fixture
async def verifier(make_verifier: MakeVerifier) -> JwtVerifier:
    return await make_verifier()


async def is_good(verifier: JwtVerifier, signer: Signer, **header: Any) -> bool:
    return (await verifier.verify(signer.token(header, exp=NOW + 10**6))).active


async def cannot_say(verifier: JwtVerifier, signer: Signer, **header: Any) -> str:
    with pytest.raises(VerifyUnavailable) as caught:
        await is_good(verifier, signer, **header)
    assert caught.value.retry_after >= 1
    return str(caught.value)


async def until(condition: Callable[[], bool]) -> None:
    """Let what runs in the background come to its end."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event, by design
            await asyncio.sleep(0.005)


async def test_the_keys_are_fetched_at_first_need_and_once(
    api: FakeApi, verifier: JwtVerifier
) -> None:
    assert api.count == 0
    good = await asyncio.gather(*(is_good(verifier, signer) for signer in [EC, RSA] * 50))
    assert all(good)
    assert api.count == 1


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a.b.c",
        EC.text(exp=1),
        EC.text(aud="other"),
        EC.text({"alg": "none"}),
        EC.text({"alg": "HS256"}),
        EC.text({"kid": 7}),
        EC.text({"crit": ["exp"]}),
    ],
)
async def test_what_no_key_could_save_asks_for_none(
    api: FakeApi, verifier: JwtVerifier, text: str
) -> None:
    api.fail()
    assert await verifier.verify(Token(text)) == NO
    assert api.count == 0


async def test_old_keys_are_refreshed_in_the_background(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    await is_good(verifier, EC)
    clock.advance(REFRESH_AFTER - 0.1)
    assert await is_good(verifier, EC)
    await asyncio.sleep(0.02)
    assert api.count == 1
    clock.advance(0.1)
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await released.wait()
        return web.json_response(jwks(OTHER))

    api.answer = answer
    for _ in range(20):
        assert await is_good(verifier, EC)  # nobody waits
    await until(lambda: api.count == 2)
    released.set()
    async with asyncio.timeout(5):
        while (await verifier.keys()).names("k1"):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert not await is_good(verifier, EC)  # it has gone
    assert await is_good(verifier, OTHER)
    assert api.count == 3  # the one for k1, which is unknown now


async def test_a_rotation_is_noticed_by_the_first_token_with_the_new_key(
    api: FakeApi, verifier: JwtVerifier
) -> None:
    assert await is_good(verifier, EC)
    api.say(jwks(OTHER))
    assert all(await asyncio.gather(*(is_good(verifier, OTHER) for _ in range(20))))
    assert not await is_good(verifier, EC), "a key that has vanished"
    assert api.count == 2


async def test_a_key_that_keeps_its_name_is_not_trusted_for_its_name(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    impostor = Signer(number=1)
    assert await is_good(verifier, EC)
    assert not await is_good(verifier, impostor)
    assert api.count == 1, "a bad signature asks for no keys"
    api.say(jwks(impostor))
    clock.advance(GONE_AFTER)
    assert await is_good(verifier, impostor)
    assert not await is_good(verifier, EC)


async def test_a_flood_of_unknown_keys_is_one_fetch_in_thirty_seconds(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    assert await is_good(verifier, EC)

    async def flood(label: str) -> None:
        some = [OTHER.token({"kid": f"{label}{number}"}) for number in range(100)]
        at_once = await asyncio.gather(*(verifier.verify(token) for token in some[:50]))
        in_turn = [await verifier.verify(token) for token in some[50:]]
        assert set(at_once + in_turn) == {NO}

    await flood("a")
    assert api.count == 2
    clock.advance(PAUSE - 0.1)
    await flood("b")
    assert api.count == 2
    clock.advance(0.1)
    await flood("c")
    assert api.count == 3
    assert await is_good(verifier, EC)
    api.say(jwks(EC, THIRD))
    assert not await is_good(verifier, THIRD), "in between an unknown key is a no"
    clock.advance(PAUSE)
    assert await is_good(verifier, THIRD)
    assert api.count == 4


async def test_a_token_without_a_name_is_tried_on_all_keys_and_asks_like_an_unknown_one(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    assert await is_good(verifier, EC, kid=None)
    assert await is_good(verifier, RSA, kid=None)
    assert api.count == 1
    api.say(jwks(OTHER))
    assert await is_good(verifier, OTHER, kid=None)
    for number in range(20):
        assert not await is_good(verifier, THIRD, kid=None), number
    assert api.count == 2


async def test_an_unknown_key_right_after_the_first_fetch_is_not_fetched_for_again(
    api: FakeApi, verifier: JwtVerifier
) -> None:
    assert not await is_good(verifier, OTHER)
    assert api.count == 1
    assert not await is_good(verifier, OTHER)
    assert api.count == 2


async def test_duplicate_names_are_tried_in_turn(api: FakeApi, verifier: JwtVerifier) -> None:
    api.say({"keys": [OTHER.jwk(kid="k1"), EC.jwk()]})
    assert await is_good(verifier, EC)
    assert await is_good(verifier, OTHER, kid="k1")


async def test_a_jwks_that_is_down_at_the_start_cannot_say_and_is_given_a_rest(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    api.fail()
    for _ in range(50):
        await cannot_say(verifier, EC)
    assert api.count == 5
    clock.advance(10)
    api.say(jwks(EC))
    assert await is_good(verifier, EC)
    assert api.count == 6
    api.say(jwks(OTHER))
    assert await is_good(verifier, OTHER), "and then it is trusted to answer again"


async def test_keys_outlive_an_outage_for_an_hour(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    assert await is_good(verifier, EC)
    api.fail()
    clock.advance(REFRESH_AFTER)
    for _ in range(20):
        assert await is_good(verifier, EC)
        await asyncio.sleep(0.002)
    assert api.count == 2, "a refresh that failed is not tried again at once"
    clock.advance(PAUSE)
    await is_good(verifier, EC)
    await until(lambda: api.count == 3)
    clock.advance(GONE_AFTER - REFRESH_AFTER - PAUSE - 0.1)
    assert await is_good(verifier, EC)
    clock.advance(0.2)
    await cannot_say(verifier, EC)
    api.say(jwks(EC))
    clock.advance(10)
    assert await is_good(verifier, EC)


async def test_a_refresh_that_fails_is_no_noise(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    assert await is_good(verifier, EC)
    api.fail()
    clock.advance(REFRESH_AFTER)
    assert await is_good(verifier, EC)
    await until(lambda: api.count == 2)
    await asyncio.sleep(0.05)
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_keys_are_as_old_as_the_question_for_them(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    async def answer(request: web.Request) -> web.Response:
        clock.advance(100)
        return web.json_response(jwks(EC))

    api.answer = answer
    assert await is_good(verifier, EC)
    clock.advance(REFRESH_AFTER - 100)
    assert await is_good(verifier, EC)
    await until(lambda: api.count == 2)


async def test_during_an_outage_an_unknown_key_is_no_no(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock
) -> None:
    """It may be tomorrow's key: who could tell is away."""
    assert await is_good(verifier, EC)
    api.fail()
    for _ in range(20):
        await cannot_say(verifier, OTHER)
        await cannot_say(verifier, OTHER, kid=None)
    assert api.count == 2
    assert await is_good(verifier, EC)
    assert not await is_good(verifier, OTHER, kid="k1")
    api.say(jwks(EC))
    clock.advance(PAUSE)
    assert not await is_good(verifier, OTHER)


async def test_a_set_without_usable_keys_cannot_say_and_ends_the_old_ones(
    api: FakeApi, verifier: JwtVerifier
) -> None:
    assert await is_good(verifier, EC)
    api.say({"keys": [EC.jwk(use="enc")]})
    assert "no usable key" in await cannot_say(verifier, OTHER)
    await cannot_say(verifier, EC)


async def send(response: web.Response) -> web.StreamResponse:
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100_000):
        await response.write(b" " * 65536)
    raise AssertionError("somebody read it all")


async def stalled(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"keys":')
    await asyncio.sleep(30)
    return response


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


GOOD_SET = as_json(jwks(EC, RSA))
BOMB = gzip.compress(GOOD_SET + b" " * MAX_JWKS_BYTES)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: send(web.Response(status=500, body=GOOD_SET)), "status 500"),
        (lambda _: send(web.Response(status=404, body=GOOD_SET)), "status 404"),
        (lambda _: send(web.Response(status=203, body=GOOD_SET)), "status 203"),
        (lambda _: send(web.Response(status=204)), "status 204"),
        (lambda _: send(web.Response(status=302, headers={"Location": "/verify"})), "status 302"),
        (lambda _: send(web.Response(status=307, headers={"Location": "/verify"})), "status 307"),
        (lambda _: send(web.Response(body=b"")), "no JWKS"),
        (lambda _: send(web.Response(body=GOOD_SET[:-1])), "no JWKS"),
        (lambda _: send(web.json_response({"keys": []})), "no usable key"),
        (lambda _: send(web.json_response({"keys": {}})), "no JWKS"),
        (lambda _: send(web.Response(body=GOOD_SET + b" " * MAX_JWKS_BYTES)), "too large"),
        (
            lambda _: send(web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})),
            "too large",
        ),
        (endless, "too large"),
        (stalled, "in time"),
        (cut, "asking failed"),
    ],
)
async def test_every_failure_cannot_say_and_is_over_in_time(
    api: FakeApi, make_verifier: MakeVerifier, answer: Tamper, why: str
) -> None:
    verifier = await make_verifier(timeout=0.5 if answer is stalled else 5.0)
    api.answer = answer
    async with asyncio.timeout(10):
        assert why in await cannot_say(verifier, EC)
    assert api.count == 1, "and nothing is followed"


async def test_a_set_of_the_largest_size_is_taken(api: FakeApi, verifier: JwtVerifier) -> None:
    body = GOOD_SET + b" " * (MAX_JWKS_BYTES - len(GOOD_SET))
    api.answer = lambda _: send(web.Response(body=body))
    assert await is_good(verifier, EC)


async def test_an_address_where_nobody_listens_cannot_say(
    make_verifier: MakeVerifier, unused_tcp_port: int
) -> None:
    verifier = await make_verifier(url=f"http://127.0.0.1:{unused_tcp_port}/jwks")
    assert "Connect" in await cannot_say(verifier, EC)


async def test_a_certificate_that_nobody_vouches_for_cannot_say(
    api: FakeApi, make_verifier: MakeVerifier, self_signed: ssl.SSLContext
) -> None:
    server = TestServer(api.app())
    await server.start_server(ssl=self_signed)
    verifier = await make_verifier(url=f"https://localhost:{server.port}/verify")
    assert "Certificate" in await cannot_say(verifier, EC)
    assert api.count == 0
    await server.close()


async def test_cookies_are_not_kept_and_the_headers_of_the_settings_are_sent(
    api: FakeApi, make_verifier: MakeVerifier
) -> None:
    verifier = await make_verifier(headers={"X-Key": "secret"})

    async def answer(request: web.Request) -> web.Response:
        response = web.json_response(jwks(EC))
        response.set_cookie("a", "b")
        return response

    api.answer = answer
    assert await is_good(verifier, EC)
    assert not await is_good(verifier, OTHER)
    assert [request.headers["X-Key"] for request in api.requests] == ["secret"] * 2
    assert "Cookie" not in api.requests[1].headers
    assert {request.method for request in api.requests} == {"GET"}
    assert "Authorization" not in api.requests[0].headers


@pytest.mark.parametrize(("status", "rests"), [(429, True), (503, True), (503, False)])
async def test_a_wish_to_wait_is_obeyed(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock, status: int, rests: bool
) -> None:
    wish = {"Retry-After": "20"} if rests else {}
    api.answer = lambda _: send(web.Response(status=status, headers=wish))
    await cannot_say(verifier, EC)
    api.say(jwks(EC))
    clock.advance(19)
    if rests:
        await cannot_say(verifier, EC)
        clock.advance(1)
    assert await is_good(verifier, EC)
    assert api.count == 2


async def test_who_waits_for_the_first_keys_may_leave_the_others_waiting(
    api: FakeApi, verifier: JwtVerifier
) -> None:
    released = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await released.wait()
        return web.json_response(jwks(EC))

    api.answer = answer
    first = asyncio.create_task(is_good(verifier, EC))
    await until(lambda: api.count == 1)
    second = asyncio.create_task(is_good(verifier, EC))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    released.set()
    assert await second
    assert api.count == 1


async def test_closing_ends_a_fetch_under_way(api: FakeApi, clock: FakeClock) -> None:
    api.hold()
    settings = VerifySettings(preset="jwt", url=api.url)
    async with JwtVerifier(settings, JwtSettings(issuer=ISSUER, audience=AUDIENCE)) as verifier:
        waiting = asyncio.create_task(verifier.keys())
        await until(lambda: api.count == 1)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_odd_keys_are_told_once_and_without_what_is_in_them(
    api: FakeApi, verifier: JwtVerifier, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = {"kty": "oct", "k": b64(b"canary" * 8), "kid": "canary"}
    for entries in ([EC.jwk(), secret], [EC.jwk(), secret], [EC.jwk(), secret, secret]):
        api.say({"keys": entries})
        clock.advance(GONE_AFTER)
        assert await is_good(verifier, EC)
    told = [record.getMessage() for record in caplog.records if record.name.startswith("gate")]
    assert len(told) == 3
    assert {record.levelname for record in caplog.records if record.name.startswith("gate")} == {
        "WARNING"
    }
    assert not [text for text in told if "canary" in text or b64(b"canary" * 8) in text]


async def test_no_reason_tells_the_token_or_the_address(
    make_verifier: MakeVerifier, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"http://user:canary@127.0.0.1:{unused_tcp_port}/?key=canary"
    verifier = await make_verifier(url=url)
    token = EC.token(sub="canary")
    with pytest.raises(VerifyUnavailable) as caught:
        await verifier.verify(token)
    problem: BaseException | None = caught.value
    while problem is not None:
        for text in ("canary", token.text, *token.text.split(".")):
            assert text not in str(problem)
            assert text not in caplog.text
        problem = problem.__cause__ or problem.__context__
