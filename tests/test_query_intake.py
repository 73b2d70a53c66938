"""A token in the address of a page: when it begins a session, and what it gets when it does not."""

from itertools import product

import pytest

from tests.conftest import Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.raw import ask

PORTAL = "https://portal.example"
DELETION = "__Host-gate=; Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age=0"
PERSON = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/?token=good-token", "/"),
        ("/guide?token=good-token", "/guide/"),
        ("/gu%69de/?token=good-token", "/guide/"),
        ("/guide/?a=%31&token=good-token&b=%C3%BC&&c", "/guide/?a=%31&b=%C3%BC&&c"),
        ("/?to%6ben=good-token&x=token", "/?x=token"),
        ("/?token=good%2Dtoken", "/"),
        ("/?token=good-token&token=good-token", "/"),
        ("/nowhere?token=good-token", "/nowhere"),
        ("//evil.example/?token=good-token", "/evil.example/"),
        ("/\\evil.example?token=good-token", "/evil.example"),
        ("http://other.example/guide?token=good-token", "/guide/"),
        ("/%C3%BCber%20uns?token=good-token", "/%C3%BCber%20uns/"),
    ],
)
async def test_a_good_token_leads_straight_to_the_canonical_page_without_it(
    gate: Gate, api: FakeApi, path: str, location: str
) -> None:
    answer = await ask(gate, path)
    assert (answer.status, answer.headers["Location"], answer.body) == (303, location, b"")
    assert len(answer.cookies) == 1
    assert api.calls == {GOOD: 1}
    (line,) = await gate.log()
    assert (line["gate.outcome"], "good-token" in gate.lines.raw.decode()) == ("intake", False)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Mode": "navigate"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {**PERSON, "Sec-Fetch-Site": "cross-site", "Referer": f"{PORTAL}/"},
        {**PERSON, "Sec-Fetch-Site": "cross-site", "Referer": "OWN/guide/"},
        {**PERSON, "Sec-Fetch-Site": "cross-site"},
        {**PERSON, "Sec-Fetch-Site": "same-site", "Referer": "https://other.portal.example/"},
        {**PERSON, "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site",
         "Referer": "https://mail.example/"},
    ],
)  # fmt: skip
async def test_a_page_that_a_person_opens_takes_the_token(
    make_gate: MakeGate, headers: dict[str, str]
) -> None:
    gate = await make_gate(frame={"allowed_origins": (PORTAL,)})
    sent = {name: value.replace("OWN", gate.origin) for name, value in headers.items()}
    assert (await gate.get(f"/?token={GOOD}", headers=sent)).status == 303


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("HEAD", PERSON),
        *[("GET", {"Sec-Fetch-Mode": mode}) for mode in ("cors", "no-cors", "same-origin")],
        ("GET", {**PERSON, "Sec-Purpose": "prefetch"}),
        ("GET", {"Sec-Purpose": "prefetch;prerender"}),
    ],
)
async def test_everything_else_leaves_the_token_alone_and_goes_by_the_cookie(
    gate: Gate, api: FakeApi, method: str, headers: dict[str, str]
) -> None:
    path = "/guide/?token=another"
    stranger = await gate.request(method, path, headers=headers)
    reader = await gate.request(method, path, headers={**await gate.sign_in(), **headers})
    assert (stranger.status, reader.status) == (401, 200)
    assert "Set-Cookie" not in {**stranger.headers, **reader.headers}
    assert api.calls == {GOOD: 1}


@pytest.mark.parametrize(
    "referer",
    ["https://evil.example/", f"{PORTAL}.evil.example/", "http://portal.example/", "about:blank",
     f"https://evil.example/{PORTAL}/", "", "null"],
)  # fmt: skip
async def test_a_frame_of_a_foreign_page_is_403_with_nothing_asked_and_nothing_set(
    make_gate: MakeGate, api: FakeApi, referer: str
) -> None:
    gate = await make_gate(frame={"allowed_origins": (PORTAL,)})
    framed = {**PERSON, "Sec-Fetch-Site": "cross-site", "Referer": referer}
    ways = product((GOOD, BAD, "no%20token"), ("iframe", "frame", "embed", "object"))
    for token, destination in ways:
        headers = {**framed, "Sec-Fetch-Dest": destination}
        answer = await gate.get(f"/?token={token}", headers=headers)
        assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)
        assert "allowed_origins" in await answer.text()
    assert api.count == 0
    assert {line["gate.outcome"] for line in await gate.log()} == {"forbidden"}


@pytest.mark.parametrize(
    ("path", "bearer"),
    [
        ("/?token=good-token&token=bad-token", None),
        ("/?token=good-token&token=", None),
        ("/?token=good-token&%74oken=bad-token", None),
        ("/?token=good-token", "bad-token"),
        ("/-/healthz?token=good-token&token=bad-token", None),
        ("/-/nowhere?token=good-token", "bad-token"),
    ],
)
async def test_two_different_tokens_are_malformed_before_anything_else_is_judged(
    gate: Gate, api: FakeApi, path: str, bearer: str | None
) -> None:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        answer = await gate.request(method, path, headers=headers)
        assert (answer.status, "Set-Cookie" in answer.headers, api.count) == (400, False, 0)
    assert {line["gate.outcome"] for line in await gate.log()} == {"malformed"}


async def test_a_wrong_method_is_judged_before_the_token(gate: Gate, api: FakeApi) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = await gate.request(method, f"/?token={GOOD}")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert api.count == 0


@pytest.mark.parametrize(
    "token",
    ["", "x" * 4097, "a%20b", "a%00b", "%C3%BC", "%FF", "=", "a=b", "a%0D%0Ab", "%2525", "%3Cb%3E",
     "a,b", "a;b", "%22a%22"],
)  # fmt: skip
async def test_what_cannot_be_a_token_is_refused_without_asking_and_ends_the_session(
    gate: Gate, api: FakeApi, token: str
) -> None:
    answer = await gate.get(f"/?token={token}", headers=await gate.sign_in())
    assert (answer.status, answer.headers["Set-Cookie"]) == (401, DELETION)
    assert api.calls == {GOOD: 1}
    assert (await gate.log())[-1]["gate.outcome"] == "refused"


async def test_a_refused_token_deletes_the_cookie_and_is_remembered_briefly(
    gate: Gate, api: FakeApi, clock: FakeClock
) -> None:
    for _ in range(2):
        answer = await gate.get(f"/nowhere?token={BAD}", headers=PERSON)
        assert answer.status == 401
        assert answer.headers.getall("Set-Cookie") == [DELETION]
        assert (answer.headers["WWW-Authenticate"], answer.content_type) == ("Bearer", "text/html")
        assert "nowhere" not in await answer.text()
    assert api.calls == {BAD: 1}
    clock.advance(5)
    await gate.get(f"/?token={BAD}")
    assert api.calls == {BAD: 2}


async def test_a_token_that_fits_no_cookie_is_400_unasked_and_names_the_cure(
    gate: Gate, api: FakeApi
) -> None:
    token = "x" * 3000
    api.tokens[token] = True
    reader = await gate.sign_in()
    for headers in ({}, PERSON):
        answer = await gate.get(f"/?token={token}", headers={**reader, **headers})
        assert (answer.status, "Set-Cookie" in answer.headers) == (400, False)
        assert "recheck = false" in await answer.text()
    assert api.calls == {GOOD: 1}
    assert (await gate.get("/", headers=reader)).status == 200


async def test_a_ticket_is_asked_about_once_and_may_be_as_long_as_a_token_can_be(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await make_gate(session={"recheck": False}, cache={"ttl": 10})
    token = "x" * 4096
    api.tokens[token] = True
    reader = await gate.sign_in(token)
    del api.tokens[token]
    clock.advance(1000)
    assert (await gate.get("/", headers=reader)).status == 200
    assert api.calls == {token: 1}


async def test_the_sessions_own_token_again_asks_nothing_and_writes_nothing(
    gate: Gate, api: FakeApi, clock: FakeClock
) -> None:
    reader = await gate.sign_in()
    clock.advance(1000)  # past the verdict, within the session
    api.fail(500)
    answer = await gate.get(f"/guide?token={GOOD}", headers={**reader, **PERSON})
    assert (answer.status, answer.headers["Location"]) == (303, "/guide/")
    assert "Set-Cookie" not in answer.headers
    assert api.calls == {GOOD: 1}
    clock.advance(3600)  # past the session
    assert (await gate.get(f"/guide?token={GOOD}", headers=reader)).status == 503
    assert api.calls == {GOOD: 2}


async def test_another_good_token_replaces_the_session(gate: Gate, api: FakeApi) -> None:
    api.tokens |= {"first": True, "second": True}
    first = await gate.sign_in("first")
    answer = await gate.get("/?token=second", headers=first)
    assert answer.status == 303
    assert answer.headers["Set-Cookie"].partition(";")[0] != first["Cookie"]
    assert api.calls == {"first": 1, "second": 1}


@pytest.mark.parametrize("headers", [{}, PERSON])
async def test_during_an_outage_a_new_token_is_503_and_the_old_cookie_stays(
    gate: Gate, api: FakeApi, headers: dict[str, str]
) -> None:
    reader = await gate.sign_in()
    api.fail(500)
    answer = await gate.get("/?token=another", headers={**reader, **headers})
    assert (answer.status, "Set-Cookie" in answer.headers) == (503, False)
    assert int(answer.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in answer.headers
    assert (await gate.get("/", headers=reader)).status == 200
    assert [line["gate.outcome"] for line in await gate.log()] == [
        "intake",
        "unavailable",
        "allowed",
    ]


async def test_a_public_page_takes_a_token_too(make_gate: MakeGate, api: FakeApi) -> None:
    gate = await make_gate(site={"public": ("/**",)})
    assert (await gate.get(f"/guide?token={GOOD}")).status == 303
    assert (await gate.get(f"/guide?token={BAD}")).headers["Set-Cookie"] == DELETION
    assert api.count == 2
