"""A wallet's or house's own API: any addresses and fields, and rules for what answers mean."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gate.config.rules import Rule, parse_rule
from gate.config.sign_in import QrSettings
from gate.sign_in.asking import Api
from gate.sign_in.custom import CustomAuthorizer
from gate.sign_in.progress import Answer, BadAnswer, Transaction, Unreachable, Word

TRANSACTION = Transaction("id/1 ?", "")
RULES = {
    "pending": ["status 400 and /code = 61010", '/state = "waiting"'],
    "accepted": ["status 200 and /verified = true"],
    "refused": ["/verified = false", '/state = "denied"', "status 403"],
}


class Wallet:
    """An API on a real socket: it notes what it is asked and gives one answer to everything."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []
        self.answer: tuple[int, Any] = 200, {}
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        key = request.headers.get("X-Api-Key", "")
        self.asked.append((request.method, request.path_qs, await request.text(), key))
        status, body = self.answer
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text)

    def settings(self, **more: Any) -> QrSettings:
        return QrSettings.model_validate(
            {
                "preset": "custom",
                "start_url": f"{self.url}/start",
                "poll_url": f"{self.url}/result/{{id}}",
                "transaction_pointer": "/data/transactionId",
                "text_pointer": "/data/authUri",
                "result_pointer": "/token",
                "headers": {"X-Api-Key": "k"},
                **RULES,
                **more,
            }
        )

    async def start(self, name: str = "", **more: Any) -> Transaction:
        settings = self.settings(**more)
        async with Api(settings) as api:
            return await CustomAuthorizer(settings, api).start(name)

    async def poll(self, **more: Any) -> Answer:
        settings = self.settings(**more)
        async with Api(settings) as api:
            return await CustomAuthorizer(settings, api).poll(TRANSACTION)


BEGUN = 200, {"data": {"transactionId": "t-1", "authUri": "wallet://x?y=1"}}


@pytest.fixture
async def wallet() -> AsyncIterator[Wallet]:
    fake = Wallet()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", fake.handle)
    async with TestServer(app) as server:
        fake.url = str(server.make_url("")).rstrip("/")
        yield fake


async def test_a_start_by_post(wallet: Wallet) -> None:
    wallet.answer = BEGUN
    assert await wallet.start() == Transaction("t-1", "wallet://x?y=1")
    assert wallet.asked == [("POST", "/start", "{}", "k")]


async def test_the_name_that_was_typed_goes_with_the_start(wallet: Wallet) -> None:
    wallet.answer = 201, BEGUN[1]
    await wallet.start("Zoë", ask_name=True, name_field="holder")
    await wallet.start("Zoë & Co", ask_name=True, start_method="GET")
    await wallet.start("Zoë")
    assert [asked[:3] for asked in wallet.asked] == [
        ("POST", "/start", '{"holder": "Zo\\u00eb"}'),
        ("GET", "/start?name=Zo%C3%AB+%26+Co", ""),
        ("POST", "/start", "{}"),
    ]


async def test_an_id_that_the_gate_makes_is_new_each_time(wallet: Wallet) -> None:
    wallet.answer = 200, {"authUri": "wallet://x"}
    more = {"transaction_pointer": "", "text_pointer": "/authUri", "start_method": "GET"}
    made = [await wallet.start(start_url=f"{wallet.url}/qr?id={{id}}", **more) for _ in range(2)]
    assert [asked[1] for asked in wallet.asked] == [f"/qr?id={each.secret}" for each in made]
    assert len({each.secret for each in made}) == 2
    assert all(re.fullmatch("[0-9a-f-]{36}", each.secret) for each in made)


async def test_a_number_may_be_an_id(wallet: Wallet) -> None:
    wallet.answer = 200, {"data": {"transactionId": 7, "authUri": "x:y"}}
    assert (await wallet.start()).secret == "7"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, {}), BadAnswer),
        ((200, {"data": {"transactionId": "t"}}), BadAnswer),
        ((200, {"data": {"transactionId": True, "authUri": "x"}}), BadAnswer),
        ((200, "<html>"), BadAnswer),
        ((401, {}), BadAnswer),
        ((302, {}), BadAnswer),
        ((500, {}), Unreachable),
        ((429, {}), Unreachable),
    ],
)
async def test_a_start_without_what_is_needed(
    wallet: Wallet, answer: tuple[int, Any], kind: type[Exception]
) -> None:
    wallet.answer = answer
    with pytest.raises(kind):
        await wallet.start()


async def test_the_id_goes_where_the_settings_say_and_breaks_out_of_nowhere(
    wallet: Wallet,
) -> None:
    wallet.answer = 200, {"verified": False}
    await wallet.poll()
    field = {"poll_url": f"{wallet.url}/result?a=1", "poll_field": "transactionId"}
    await wallet.poll(**field)
    await wallet.poll(**field, poll_method="POST")
    assert [asked[:3] for asked in wallet.asked] == [
        ("GET", "/result/id%2F1%20%3F", ""),
        ("GET", "/result?a=1&transactionId=id%2F1+%3F", ""),
        ("POST", "/result?a=1", '{"transactionId": "id/1 ?"}'),
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((400, {"code": 61010}), Answer(Word.PENDING)),
        ((200, {"state": "waiting"}), Answer(Word.PENDING)),
        ((200, {"verified": True, "token": "t"}), Answer(Word.ACCEPTED, "t")),
        ((200, {"verified": False, "token": "t"}), Answer(Word.REFUSED)),
        ((403, "no"), Answer(Word.REFUSED)),
        ((200, {"verified": True, "state": "denied"}), Answer(Word.REFUSED)),
    ],
)
async def test_rules_by_status_code_and_boolean(
    wallet: Wallet, answer: tuple[int, Any], expected: Answer
) -> None:
    wallet.answer = answer
    assert await wallet.poll() == expected


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((400, {"code": 61011}), BadAnswer),
        ((400, {"code": "61010"}), BadAnswer),
        ((200, {"verified": 1, "token": "t"}), BadAnswer),
        ((200, {"verified": "true", "token": "t"}), BadAnswer),
        ((201, {"verified": True, "token": "t"}), BadAnswer),
        ((200, {"verified": True}), BadAnswer),
        ((200, {"verified": True, "token": ["t"]}), BadAnswer),
        ((200, "<html>"), BadAnswer),
        ((404, {}), BadAnswer),
        ((500, {}), Unreachable),
        ((429, {}), Unreachable),
    ],
)
async def test_what_fits_no_rule_lets_nobody_in(
    wallet: Wallet, answer: tuple[int, Any], kind: type[Exception]
) -> None:
    wallet.answer = answer
    with pytest.raises(kind):
        await wallet.poll()


async def test_a_false_that_means_not_yet(wallet: Wallet) -> None:
    wallet.answer = 200, {"verified": False}
    answer = await wallet.poll(pending=["/verified = false"], refused=[])
    assert answer == Answer(Word.PENDING)


async def test_a_rule_may_also_speak_for_a_status_that_would_pass(wallet: Wallet) -> None:
    wallet.answer = 503, {}
    assert await wallet.poll(pending=["status 5xx"]) == Answer(Word.PENDING)


async def test_without_a_result_pointer_the_transaction_is_the_token(wallet: Wallet) -> None:
    wallet.answer = 200, {"verified": True}
    assert await wallet.poll(result_pointer="") == Answer(Word.ACCEPTED, TRANSACTION.secret)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("status 404", Rule((range(404, 405),), ())),
        ("status 4xx", Rule((range(400, 500),), ())),
        ("/done = true", Rule((), (("/done", True),))),
        ("/a/b=7", Rule((), (("/a/b", 7),))),
        ("/x = null", Rule((), (("/x", None),))),
        ("/x = 1.5 and status 200", Rule((range(200, 201),), (("/x", 1.5),))),
        ('/x = "a and /b = c"', None),
        ('/x = "this and that"', Rule((), (("/x", "this and that"),))),
        ("", None),
        ("status 99", None),
        ("status 4x4", None),
        ("status", None),
        ("done = true", None),
        ("/done", None),
        ("/done = yes", None),
        ("/done = [1]", None),
        ("/done = {}", None),
        ("/a~2 = 1", None),
        ("status 200 or status 201", None),
        ("status 200 and", None),
    ],
)
def test_the_spelling_of_rules(text: str, rule: Rule | None) -> None:
    if rule is not None:
        assert parse_rule(text) == rule
        return
    with pytest.raises(ValueError, match="must "):
        parse_rule(text)


def test_what_is_said_of_a_wrong_rule_does_not_repeat_it() -> None:
    for text in ("s3cret", "/x = s3cret", "status s3cret", '/x = ["s3cret"]'):
        with pytest.raises(ValueError, match="must ") as caught:
            parse_rule(text)
        assert "s3cret" not in str(caught.value)
