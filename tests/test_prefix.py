"""`public_url` with a path: the gate behind a host that it shares, whether or not the proxy takes
the path away."""

import re

import pytest

from tests.conftest import Gate, MakeGate, cookie_of
from tests.fakes import BAD, GOOD
from tests.raw import ask

PERSON = {"Sec-Fetch-Mode": "navigate"}
PUBLIC = "https://intranet.example/docs"
OWN = {"Origin": "https://intranet.example"}


@pytest.fixture
async def gate(make_gate: MakeGate) -> Gate:
    return await make_gate(
        server={"public_url": PUBLIC},
        frame={"allowed_origins": ("https://portal.example",), "cookieless": True},
    )


@pytest.fixture(params=["/docs", ""], ids=["path kept", "path taken away"])
def at(request: pytest.FixtureRequest) -> str:
    """What the gate sees in front of its paths."""
    return str(request.param)


async def test_a_session_begins_goes_on_and_ends_below_the_path(gate: Gate, at: str) -> None:
    begun = await gate.get(f"{at}/guide/?token={GOOD}&page=1", headers=PERSON)
    assert (begun.status, begun.headers["Location"]) == (303, "/docs/guide/?page=1")
    assert "; Path=/; " in begun.headers["Set-Cookie"], "__Host- wants it"
    cookie = {"Cookie": cookie_of(begun)}
    assert (await gate.get(f"{at}/guide/", headers=cookie)).status == 200
    moved = await gate.get(f"{at}/guide?page=1", headers=cookie)
    assert (moved.status, moved.headers["Location"]) == (301, "guide/?page=1")
    ended = await gate.post(f"{at}/-/sign-out", headers={**cookie, **OWN})
    assert (ended.status, ended.headers["Location"]) == (303, "/docs/-/signed-out")
    assert (await gate.get(f"{at}/-/signed-out")).status == 200
    assert (await gate.get(f"{at}/guide/", headers=cookie)).status == 401


@pytest.mark.parametrize(
    ("wanted", "location"),
    [
        ("/docs/guide/", "/docs/guide/"),
        ("/guide/?a=1#part", "/docs/guide/?a=1#part"),
        ("/docs", "/docs/"),
        ("/elsewhere/", "/docs/"),
        ("//evil.example/docs/guide/", "/docs/"),
        ("https://intranet.example/docs/guide/", "/docs/"),
    ],
)
async def test_a_form_leads_to_a_page_below_the_path(
    gate: Gate, at: str, wanted: str, location: str
) -> None:
    form = {"token": GOOD, "next": wanted}
    answer = await gate.post(f"{at}/-/session", data=form, headers=OWN)
    assert (answer.status, answer.headers["Location"]) == (303, location)


async def test_the_gates_pages_load_and_lead_below_the_path(gate: Gate, at: str) -> None:
    cookie = await gate.sign_in()
    pages = [
        await gate.get(f"{at}/", headers=PERSON),
        await gate.get(f"{at}/-/nothing", headers={**PERSON, **cookie}),
        await gate.get(f"{at}/-/frame", headers={"Sec-Fetch-Dest": "iframe"}),
    ]
    for page in pages:
        loaded = re.findall(r"(?:href|src)=\"(/[^\"]*)\"", await page.text())
        assert loaded
        for path in loaded:
            assert path.startswith("/docs/")
            assert (await gate.get(path, headers=cookie)).status == 200, path


async def test_the_bare_path_leads_to_its_first_page(gate: Gate) -> None:
    answer = await gate.get(f"/docs?token={GOOD}")
    assert (answer.status, answer.headers["Location"]) == (301, f"/docs/?token={GOOD}")


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/guide/", "/docs/nowhere", "/docsguide/", "/docs/docs/guide/",
             "/%64ocs/guide/", "/docs/../guide/", "//docs/guide/", "/docs//guide/"],
)  # fmt: skip
async def test_nothing_below_the_path_is_open_to_strangers(gate: Gate, path: str) -> None:
    assert (await ask(gate, path)).status == 401
    assert (await ask(gate, f"{path}?token={BAD}")).status == 401


async def test_the_router_answers_strangers_below_the_path_as_at_the_top(gate: Gate) -> None:
    for path in ("/-/auth", "/-/frame/session", "/-/healthz", "/-/embed.js", "/-/nothing"):
        assert (await ask(gate, f"/docs{path}")).status == (await ask(gate, path)).status


async def test_a_session_in_the_path_works_below_it(gate: Gate, at: str) -> None:
    inside = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}
    answer = await gate.post(
        f"{at}/-/frame/prefix", json={"token": GOOD}, headers={**OWN, **inside}
    )
    folder = (await answer.json())["prefix"]
    framed = {**inside, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}
    page = await gate.get(f"{at}/-/{folder}guide/", headers=framed)
    assert page.status == 200


async def test_a_browser_that_kept_no_cookie_is_told_so(gate: Gate, at: str) -> None:
    await gate.get(f"{at}/guide/?token={GOOD}", headers=PERSON)
    assert "cookie" in await (await gate.get(f"{at}/guide/", headers=PERSON)).text()
