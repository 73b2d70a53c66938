"""Introspection (RFC 7662): who the gate says it is, how it asks, and what the answers mean."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from aiohttp import web

from gate.cache import Verdict
from gate.config.settings import IntrospectionSettings, JwtSettings, VerifySettings
from gate.tokens import Token
from gate.verify.api import ApiVerifier
from gate.verify.introspection import credentials
from gate.verify.judge import Judge, VerifyUnavailable
from gate.verify.presets import fingerprint, make_verifier
from tests.fakes import GOOD, FakeApi

NO = Verdict(active=False)
MakeVerifier = Callable[..., Awaitable[ApiVerifier]]


@pytest.fixture
async def make(api: FakeApi) -> AsyncIterator[MakeVerifier]:
    """A verifier: `await make({"token_in": "query"}, scope="docs")`."""
    async with AsyncExitStack() as stack:

        async def start(verify: dict[str, Any] | None = None, **own: Any) -> ApiVerifier:
            whole = {"preset": "introspection", "url": api.url, **(verify or {})}
            verifier = make_verifier(
                VerifySettings.model_validate(whole),
                IntrospectionSettings.model_validate(own),
                JwtSettings(),
                session_expires="/session_end",
            )
            assert isinstance(verifier, ApiVerifier)
            return await stack.enter_async_context(verifier)

        yield start


class Endpoint:
    """An introspection endpoint that keeps what it was asked."""

    def __init__(self, api: FakeApi, body: object, status: int = 200) -> None:
        self.asked: list[dict[str, Any]] = []
        self._body, self._status = body, status
        api.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.asked.append(
            {
                "method": request.method,
                "type": request.content_type,
                "form": parse_qs(text, strict_parsing=bool(text), keep_blank_values=True),
                "query": dict(request.query),
                "headers": request.headers,
            }
        )
        return web.json_response(self._body, status=self._status)


YES = {"active": True, "sub": "ann", "exp": 9, "scope": "docs read", "session_end": 8}


async def test_a_question_is_a_form_with_the_token_and_its_kind(
    api: FakeApi, make: MakeVerifier
) -> None:
    endpoint = Endpoint(api, YES)
    verifier = await make(client_id="gate", client_secret="pw")
    verdict = await verifier.verify(Token("a+b/c=="))
    assert verdict == Verdict(True, subject="ann", expires=9.0, session_expires=8.0)
    (asked,) = endpoint.asked
    assert (asked["method"], asked["type"]) == ("POST", "application/x-www-form-urlencoded")
    assert asked["form"] == {"token": ["a+b/c=="], "token_type_hint": ["access_token"]}
    assert asked["query"] == {}
    assert asked["headers"]["Accept"] == "application/json"
    assert asked["headers"]["Authorization"] == f"Basic {base64.b64encode(b'gate:pw').decode()}"


@pytest.mark.parametrize(
    ("verify", "read"),
    [
        ({"token_in": "query", "method": "GET"}, lambda asked: asked["query"]["token"]),
        ({"token_name": "t"}, lambda asked: asked["form"]["t"][0]),
        ({"token_in": "header", "token_name": "X-T"}, lambda asked: asked["headers"]["X-T"]),
    ],
)
async def test_given_keys_say_where_the_token_goes(
    api: FakeApi, make: MakeVerifier, verify: dict[str, Any], read: Callable[[Any], str]
) -> None:
    endpoint = Endpoint(api, YES)
    verifier = await make(verify, bearer="own")
    assert (await verifier.verify(Token(GOOD))).active
    (asked,) = endpoint.asked
    assert read(asked) == GOOD
    assert asked["headers"]["Authorization"] == "Bearer own"
    assert ("token_type_hint" in asked["form"]) is ("token_in" not in verify)


@pytest.mark.parametrize(
    ("client_id", "client_secret", "pair"),
    [
        ("gate", "pw", "gate:pw"),
        ("a:b", "c:d", "a%3Ab:c%3Ad"),
        ("my gate", "50% + &=", "my+gate:50%25+%2B+%26%3D"),
        ("ü", "ß/?", "%C3%BC:%C3%9F%2F%3F"),
    ],
)
def test_basic_form_encodes_both_before_they_are_joined(
    client_id: str, client_secret: str, pair: str
) -> None:
    settings = IntrospectionSettings.model_validate(
        {"client_id": client_id, "client_secret": client_secret}
    )
    scheme, _, encoded = credentials(settings)["Authorization"].get_secret_value().partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded).decode() == pair
    assert [unquote_plus(part) for part in pair.split(":")] == [client_id, client_secret]


async def test_other_ways_to_know_the_client_are_left_alone(
    api: FakeApi, make: MakeVerifier
) -> None:
    endpoint = Endpoint(api, YES)
    for headers in ({}, {"Authorization": "Custom x"}, {"X-Key": "x"}):
        await (await make({"headers": headers})).verify(Token(GOOD))
        sent = endpoint.asked[-1]["headers"]
        assert sent.get("Authorization") == headers.get("Authorization")
        assert sent.get("X-Key") == headers.get("X-Key")


def judge(body: object, status: int = 200, scope: str = "", **settings: Any) -> Verdict:
    verify = VerifySettings(preset="introspection", url="http://localhost", **settings)
    return Judge(verify, "", scope)(status, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ({"active": True}, Verdict(True)),
        ({"active": True, "sub": "ann", "exp": 9}, Verdict(True, "ann", 9.0)),
        ({"active": False}, NO),
        ({"active": False, "sub": ["x"], "scope": 7}, NO),
    ],
)
def test_active_decides(body: object, verdict: Verdict) -> None:
    assert judge(body) == verdict


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sub": "ann"},
        {"error": "invalid_client"},
        {"active": "true"},
        {"active": 1},
        {"active": None},
        {"Active": True},
        [True],
        True,
        False,
        {"active": True, "exp": "9"},
        {"active": True, "sub": {"id": 1}},
    ],
)
def test_what_is_no_exact_answer_cannot_say(body: object) -> None:
    with pytest.raises(VerifyUnavailable):
        judge(body)


@pytest.mark.parametrize("body", [{"active": True}, {"active": False}, {"error": "x"}])
@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 429, 500, 503])
def test_every_other_status_cannot_say(status: int, body: object) -> None:
    with pytest.raises(VerifyUnavailable):
        judge(body, status)


@pytest.mark.parametrize("body", [{"active": True}, {"active": False}, {"error": "x"}])
@pytest.mark.parametrize("status", [401, 403])
def test_401_and_403_are_about_the_gate_and_not_about_the_reader(status: int, body: object) -> None:
    with pytest.raises(VerifyUnavailable, match=f"{status}.*the gate's own credentials"):
        judge(body, status)


async def test_wrong_credentials_turn_nobody_away(api: FakeApi, make: MakeVerifier) -> None:
    Endpoint(api, {"error": "invalid_client"}, status=401)
    with pytest.raises(VerifyUnavailable, match="credentials"):
        await (await make(client_id="gate", client_secret="old")).verify(Token(GOOD))


@pytest.mark.parametrize(
    ("scope", "good"),
    [
        ("docs read", True),
        ("x read docs", True),
        (["docs", "read"], True),
        ("docs", False),
        ("", False),
        ("docsread", False),
        ("docs reader", False),
        ("docs,read", False),
        ("Docs Read", False),
        (["docs read"], False),
    ],
)
def test_every_name_of_the_scope_must_be_in_the_answer(scope: object, good: bool) -> None:
    body = {"active": True, "sub": "ann", "scope": scope}
    assert judge(body, scope="docs read") == (Verdict(True, "ann") if good else NO)


def test_an_answer_without_scope_is_a_no_where_one_is_wanted() -> None:
    assert judge({"active": True}, scope="docs") == NO
    assert judge({"active": True, "scp": ["docs"]}, scope="docs") == NO
    assert judge(True, scope="docs", active="") == NO
    assert judge({"active": True, "scope": 7}) == Verdict(True)


@pytest.mark.parametrize("scope", [7, None, {"docs": True}, ["docs", 7]])
def test_a_scope_that_is_no_text_cannot_say(scope: object) -> None:
    with pytest.raises(VerifyUnavailable, match="scope"):
        judge({"active": True, "scope": scope}, scope="docs")


def test_a_half_of_a_surrogate_pair_cannot_say() -> None:
    """No log and no cookie could be written with it."""
    with pytest.raises(VerifyUnavailable):
        judge({"active": True, "sub": "\ud800"})


async def test_a_verdict_keeps_the_scope_of_the_settings(api: FakeApi, make: MakeVerifier) -> None:
    Endpoint(api, YES)
    assert (await (await make(scope="docs")).verify(Token(GOOD))).active
    assert not (await (await make(scope="docs write")).verify(Token(GOOD))).active


async def test_no_reason_or_repr_tells_a_secret(make: MakeVerifier, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    verifier = await make({"url": url}, client_id="gate", client_secret="canary")
    with pytest.raises(VerifyUnavailable) as caught:
        await verifier.verify(Token("canary"))
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(verifier)


# What verdicts depend on


def print_of(**sections: dict[str, Any]) -> bytes:
    verify = {"url": "http://localhost", **sections.pop("verify", {})}
    return fingerprint(
        VerifySettings.model_validate(verify),
        IntrospectionSettings.model_validate(sections.pop("introspection", {})),
        JwtSettings.model_validate(sections.pop("jwt", {})),
    )


def test_verdicts_of_other_settings_are_others() -> None:
    others = [
        print_of(),
        print_of(verify={"url": "http://localhost/"}),
        print_of(verify={"preset": "introspection"}),
        print_of(verify={"headers": {"X-A": "1"}}),
        print_of(verify={"headers": {"X-A": "2"}}),
        print_of(introspection={"client_secret": "a"}),
        print_of(introspection={"client_secret": "b"}),
        print_of(introspection={"bearer": "a"}),
        print_of(introspection={"scope": "docs"}),
        print_of(jwt={"scope": "docs"}),
        print_of(jwt={"issuer": "https://portal.example"}),
        print_of(jwt={"audience": "docs"}),
        print_of(jwt={"key_file": "keys"}),
        print_of(jwt={"leeway": 0}),
        print_of(jwt={"algorithms": ["RS256"]}),
    ]
    assert len(set(others)) == len(others)
    one, two = (
        {"headers": dict(pairs)} for pairs in ([("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")])
    )
    assert print_of(verify=one) == print_of(verify=two)
