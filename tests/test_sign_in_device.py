"""The device authorization grant (RFC 8628) as a client: its requests, and what answers mean."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gate.config.sign_in import QrSettings
from gate.sign_in.asking import Api
from gate.sign_in.device import GRANT, DeviceAuthorizer
from gate.sign_in.progress import Answer, BadAnswer, Transaction, Unreachable, Word
from tests.devices import DEVICE_CODE, FakeDevices, error, running_devices

TRANSACTION = Transaction("the-code", "https://login.example.com/")
START = {
    "device_code": "the-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.example.com/device",
    "expires_in": 1800,
}


@pytest.fixture
async def devices() -> AsyncIterator[FakeDevices]:
    async with running_devices() as fake:
        yield fake


async def started(devices: FakeDevices, **more: Any) -> Transaction:
    settings = QrSettings.model_validate(devices.settings(**more)["qr"])
    async with Api(settings) as api:
        return await DeviceAuthorizer(settings, api).start("")


async def polled(devices: FakeDevices, **more: Any) -> Answer:
    settings = QrSettings.model_validate(devices.settings(**more)["qr"])
    async with Api(settings) as api:
        return await DeviceAuthorizer(settings, api).poll(TRANSACTION)


async def test_the_start_says_who_we_are_and_what_we_want(devices: FakeDevices) -> None:
    transaction = await started(devices, scope="openid docs")
    assert devices.starts == [{"client_id": "docs", "scope": "openid docs"}]
    assert "Authorization" not in devices.headers[0]
    assert transaction == Transaction(
        f"{DEVICE_CODE}-1",
        "https://login.example.com/device?code=WDJB-MJHT1",
        "WDJB-MJHT1",
        "https://login.example.com/device",
        lifetime=600,
        interval=5,
    )
    for secret in (DEVICE_CODE, "WDJB"):
        assert secret not in repr(transaction)


async def test_a_secret_is_shown_by_basic_and_nowhere_else(devices: FakeDevices) -> None:
    await started(devices, client_id="a:b", client_secret="s e%")
    await polled(devices, client_id="a:b", client_secret="s e%")
    for headers in devices.headers:
        assert b64decode(headers["Authorization"].removeprefix("Basic ")) == b"a%3Ab:s+e%25"
    assert "client_secret" not in {*devices.starts[0], *devices.polls[0]}


async def test_headers_of_the_settings_are_sent(devices: FakeDevices) -> None:
    await started(devices, headers={"X-Api-Key": "k"})
    assert devices.headers[0]["X-Api-Key"] == "k"


async def test_without_a_complete_address_the_code_is_to_be_typed(devices: FakeDevices) -> None:
    devices.start = 200, START
    transaction = await started(devices)
    assert (transaction.text, transaction.interval) == ("https://login.example.com/device", 5)


@pytest.mark.parametrize(
    "change",
    [
        {"device_code": None},
        {"device_code": ""},
        {"device_code": ["x"]},
        {"user_code": None},
        {"verification_uri": None},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri_complete": "data:text/html,x"},
        {"verification_uri_complete": "https://x/\n"},
        {"expires_in": "soon"},
        {"interval": -1},
        {"interval": True},
    ],
)
async def test_a_start_that_is_none_ends_there(
    devices: FakeDevices, change: dict[str, object]
) -> None:
    devices.start = 200, START | change
    with pytest.raises(BadAnswer) as caught:
        await started(devices)
    assert "login.example" not in str(caught.value)
    assert "the-code" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error("invalid_client", 401), BadAnswer),
        (error("x", 404), BadAnswer),
        ((200, "<html>"), BadAnswer),
        ((302, ""), BadAnswer),
        ((500, ""), Unreachable),
        ((503, "<html>"), Unreachable),
        (error("slow", 429), Unreachable),
    ],
)
async def test_a_start_that_fails_says_whether_to_try_again(
    devices: FakeDevices, answer: tuple[int, Any], kind: type[Exception]
) -> None:
    devices.start = answer
    with pytest.raises(kind):
        await started(devices)


async def test_the_poll_is_that_of_the_standard(devices: FakeDevices) -> None:
    await polled(devices)
    assert devices.polls == [{"grant_type": GRANT, "device_code": "the-code", "client_id": "docs"}]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error("authorization_pending"), Answer(Word.PENDING)),
        (error("slow_down"), Answer(Word.SLOW_DOWN)),
        (error("slow_down", 429), Answer(Word.SLOW_DOWN)),
        (error("access_denied"), Answer(Word.REFUSED)),
        (error("access_denied", 403), Answer(Word.REFUSED)),
        (error("expired_token"), Answer(Word.EXPIRED)),
        ((200, {"access_token": "t", "token_type": "bearer"}), Answer(Word.ACCEPTED, "t")),
        ((200, {"access_token": "t"}), Answer(Word.ACCEPTED, "t")),
    ],
)
async def test_the_words_of_the_standard(
    devices: FakeDevices, answer: tuple[int, Any], expected: Answer
) -> None:
    devices.say(answer)
    assert await polled(devices) == expected


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error("invalid_grant"), BadAnswer),
        (error("invalid_client", 401), BadAnswer),
        (error("made_up"), BadAnswer),
        ((400, "no"), BadAnswer),
        ((404, {}), BadAnswer),
        ((400, {"error": ["access_denied"]}), BadAnswer),
        ((200, {}), BadAnswer),
        ((200, "yes"), BadAnswer),
        ((200, {"access_token": ""}), BadAnswer),
        ((200, {"access_token": "t", "token_type": "mac"}), BadAnswer),
        ((200, {"access_token": "t", "token_type": 1}), BadAnswer),
        ((204, ""), BadAnswer),
        ((302, ""), BadAnswer),
        ((500, ""), Unreachable),
        ((502, "<html>"), Unreachable),
        ((429, ""), Unreachable),
        ((200, "x" * 100_000), Unreachable),
    ],
)
async def test_every_other_answer_ends_it_but_for_what_may_pass(
    devices: FakeDevices, answer: tuple[int, Any], kind: type[Exception]
) -> None:
    devices.say(answer)
    with pytest.raises(kind) as caught:
        await polled(devices)
    assert "the-code" not in str(caught.value)
    assert "made_up" not in str(caught.value)


async def test_nobody_there_is_unreachable_and_names_no_address(devices: FakeDevices) -> None:
    with pytest.raises(Unreachable) as caught:
        await polled(devices, token_url="http://127.0.0.1:1/token?secret")
    assert str(caught.value) == "asking failed: connection-refused"


async def test_silence_is_unreachable(devices: FakeDevices) -> None:
    devices.released = asyncio.Event()
    with pytest.raises(Unreachable, match="no answer in time"):
        await polled(devices, timeout=0.05)
    devices.released.set()
