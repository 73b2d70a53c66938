"""The session in the path: it opens for frames of the gate alone, for a short while, and leaves no
trace; and no part of the site loads into pages of others."""

import json
from typing import Final

import pytest

from tests.conftest import Gate, MakeGate
from tests.fakes import BAD, GOOD, FakeApi, FakeClock
from tests.raw import exchange

PORTAL: Final = "https://portal.example"
COOKIELESS: Final = {"allowed_origins": (PORTAL,), "cookieless": True}


def fetched(site: str, mode: str, dest: str) -> dict[str, str]:
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


INSIDE: Final = fetched("same-origin", "navigate", "iframe")
ASKING: Final = fetched("same-origin", "cors", "empty")


async def folder_of(gate: Gate, token: str = GOOD) -> str:
    """The path of a session in the path, as the shell is given it."""
    answer = await gate.post(
        "/-/frame/prefix", json={"token": token}, headers={"Origin": gate.origin, **ASKING}
    )
    assert answer.status == 200, await answer.text()
    assert answer.headers["Cache-Control"] == "no-store"
    return "/-/" + str((await answer.json())["prefix"])


def sealed_in(folder: str) -> str:
    return folder.removeprefix("/-/s/").removesuffix("/")


# The session in the path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (INSIDE, 200),
        (fetched("same-origin", "navigate", "frame"), 200),
        (fetched("same-origin", "no-cors", "image"), 200),
        (fetched("same-origin", "no-cors", "script"), 200),
        (fetched("same-origin", "cors", "font"), 200),
        (ASKING, 200),
        ({}, 401),
        (fetched("none", "navigate", "document"), 303),
        (fetched("same-origin", "navigate", "document"), 303),
        (fetched("cross-site", "navigate", "document"), 303),
        (fetched("cross-site", "navigate", "iframe"), 401),
        (fetched("same-site", "navigate", "iframe"), 401),
        (fetched("none", "navigate", "iframe"), 401),
        (fetched("same-origin", "navigate", "object"), 401),
        (fetched("same-origin", "navigate", "embed"), 401),
        ({"Sec-Fetch-Site": "same-origin"}, 401),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}, 401),
        ({"Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"}, 401),
        (fetched("cross-site", "no-cors", "image"), 403),
        (fetched("cross-site", "no-cors", "script"), 403),
        (fetched("same-site", "no-cors", "style"), 403),
        (fetched("cross-site", "cors", "empty"), 403),
    ],
)
async def test_a_path_opens_for_frames_of_the_gate_alone(
    make_gate: MakeGate, headers: dict[str, str], status: int
) -> None:
    gate = await make_gate(frame=COOKIELESS)
    folder = await folder_of(gate)
    answer = await gate.get(folder, headers=headers)
    assert answer.status == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    if status == 200:
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    else:
        assert sealed_in(folder).encode() not in await answer.read()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": PORTAL, **fetched("cross-site", "cors", "empty")},
        {"Origin": "null", **ASKING},
        {"Origin": "OWN"},
        {"Origin": "OWN", **fetched("cross-site", "cors", "empty")},
        {"Origin": "OWN", **fetched("same-origin", "navigate", "document")},
        {"Origin": PORTAL, **ASKING},
        ASKING,
    ],
)
async def test_a_path_is_given_to_the_shell_alone(
    make_gate: MakeGate, api: FakeApi, headers: dict[str, str]
) -> None:
    gate = await make_gate(frame=COOKIELESS)
    sent = {name: gate.origin if value == "OWN" else value for name, value in headers.items()}
    answer = await gate.post("/-/frame/prefix", json={"token": GOOD}, headers=sent)
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert api.count == 0


async def test_no_path_is_given_for_a_bad_token_or_where_it_is_turned_off(
    make_gate: MakeGate,
) -> None:
    gate = await make_gate(frame=COOKIELESS)
    own = {"Origin": gate.origin, **ASKING}
    for token, status in ((BAD, 401), ("no token", 401), ("x" * 4097, 401), (7, 400)):
        answer = await gate.post("/-/frame/prefix", json={"token": token}, headers=own)
        assert answer.status == status, token
    folder = await folder_of(gate)
    off = await make_gate(frame={"allowed_origins": (PORTAL,)})
    own = {"Origin": off.origin, **ASKING}
    answer = await off.post("/-/frame/prefix", json={"token": GOOD}, headers=own)
    assert answer.status == 404
    assert (await off.get(folder, headers=INSIDE)).status == 401


async def test_no_value_opens_for_the_other_purpose(make_gate: MakeGate) -> None:
    gate = await make_gate(frame=COOKIELESS)
    cookie = (await gate.sign_in())["Cookie"]
    folder = await folder_of(gate)
    as_cookie = {"Cookie": f"__Host-gate={sealed_in(folder)}", **INSIDE}
    assert (await gate.get("/", headers=as_cookie)).status == 401
    as_path = f"/-/s/{cookie.partition('=')[2]}/"
    assert (await gate.get(as_path, headers=INSIDE)).status == 401


async def test_a_guessed_or_changed_path_opens_nothing_even_beside_a_good_cookie(
    make_gate: MakeGate,
) -> None:
    gate = await make_gate(frame=COOKIELESS)
    cookie = await gate.sign_in()
    sealed = sealed_in(await folder_of(gate))
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    for guess in ("", "x", "A" * 400, "%00", "..", changed, sealed + "A", sealed[:-1], "A" * 5000):
        answer = await gate.get(f"/-/s/{guess}/", headers={**INSIDE, **cookie})
        assert answer.status in (400, 401, 404), guess
        assert b"Welcome" not in await answer.read()


async def test_a_path_ends_after_15_minutes_or_with_its_token(
    make_gate: MakeGate, api: FakeApi, clock: FakeClock
) -> None:
    gate = await make_gate(frame=COOKIELESS, verify={"active": "/active"})
    api.tokens["long"] = {"active": True}
    api.tokens["short"] = {"active": True, "exp": clock.wall() + 60}
    long, short = await folder_of(gate, "long"), await folder_of(gate, "short")
    for seconds, of_long, of_short in (
        (59, 200, 200),
        (1, 200, 401),
        (839, 200, 401),
        (1, 401, 401),
    ):
        clock.advance(seconds)
        assert (await gate.get(long, headers=INSIDE)).status == of_long
        assert (await gate.get(short, headers=INSIDE)).status == of_short


async def test_signing_out_and_revoking_end_a_path(make_gate: MakeGate, api: FakeApi) -> None:
    secret = "s" * 32
    gate = await make_gate(frame=COOKIELESS, revoke={"secret": secret})
    api.tokens["another"] = True
    first, second = await folder_of(gate), await folder_of(gate, "another")
    own = {"Origin": gate.origin, **ASKING}
    answer = await gate.post("/-/sign-out", json={"prefix": first.removeprefix("/-/")}, headers=own)
    assert answer.status == 204
    assert (await gate.get(first, headers=INSIDE)).status == 401
    assert (await gate.get(second, headers=INSIDE)).status == 200
    answer = await gate.post(
        "/-/revoke", json={"token": "another"}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status == 204
    assert (await gate.get(second, headers=INSIDE)).status == 401


@pytest.mark.parametrize("site", ["none", "same-origin", "cross-site"])
async def test_a_window_of_its_own_is_led_out_of_the_folder_and_opens_nothing_by_it(
    make_gate: MakeGate, api: FakeApi, site: str
) -> None:
    """The credential leaves the address bar, good or not, and nobody is asked about it."""
    gate = await make_gate(frame=COOKIELESS)
    headers = fetched(site, "navigate", "document")
    asked = api.count
    for folder in (await folder_of(gate), "/-/s/x/", "/-/s//", f"/-/s/{'A' * 5000}/"):
        answer = await gate.get(folder + "guide/?h=word", headers=headers)
        assert answer.status == 303, folder
        assert answer.headers["Location"] == "/guide/?h=word"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers
        assert await answer.read() == b""
    assert api.count == asked + 1  # of the shell, for the folder
    assert (await gate.get("/guide/?h=word", headers=headers)).status == 401
    cookie = await gate.sign_in()
    assert (await gate.get("/guide/?h=word", headers={**headers, **cookie})).status == 200


@pytest.mark.parametrize(
    ("inside", "location"),
    [
        ("", "/"),
        ("?", "/"),
        ("guide/", "/guide/"),
        # what is there looks like what is not, to whoever has no session
        ("guide", "/guide"),
        ("nowhere", "/nowhere"),
        ("guide/index.html", "/guide/index.html"),
        ("caf%C3%A9%2F/?q=%2F%2Fevil.example", "/caf%C3%A9%2F/?q=%2F%2Fevil.example"),
        ("/evil.example/", "/evil.example/"),
        ("//evil.example/", "/evil.example/"),
        ("\\evil.example/", "/evil.example/"),
        ("/\\/evil.example/", "/evil.example/"),
        ("\\/evil.example", "/evil.example"),
        ("https://evil.example/", "/https://evil.example/"),
        (f"?token={GOOD}", "/"),
        (f"guide/?a=1&to%6ben={GOOD}&b=2", "/guide/?a=1&b=2"),
    ],
)
async def test_out_of_a_folder_leads_to_this_site_alone_and_takes_no_token_along(
    make_gate: MakeGate, inside: str, location: str
) -> None:
    gate = await make_gate(frame=COOKIELESS)
    head = "".join(f"{k}: {v}\r\n" for k, v in fetched("none", "navigate", "document").items())
    request = f"GET /-/s/x/{inside} HTTP/1.1\r\nHost: 127.0.0.1:{gate.port}\r\n{head}"
    answer = await exchange(gate, f"{request}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 303 ")
    assert f"\r\nLocation: {location}\r\n".encode() in answer


@pytest.mark.parametrize("rest", ["-/frame", "-/signed-out", "-/s/x/guide/", "%2d/frame", "-/"])
async def test_out_of_a_folder_leads_to_nothing_of_the_gates_own(
    make_gate: MakeGate, rest: str
) -> None:
    """And so never back into a folder, for ever."""
    gate = await make_gate(frame=COOKIELESS)
    answer = await gate.get(f"/-/s/x/{rest}", headers=fetched("none", "navigate", "document"))
    assert answer.status == 404


async def test_what_a_path_holds_leads_to_nothing_but_the_site(make_gate: MakeGate) -> None:
    gate = await make_gate(frame=COOKIELESS)
    folder = await folder_of(gate)
    for rest, status in (
        ("guide/", 200),
        ("guide", 301),
        ("nowhere", 404),
        ("-/frame", 404),
        ("-/session", 404),
        ("-/healthz", 404),
        ("-/s/x/", 404),
        ("%2d/frame", 404),
        ("../guide/", 404),
        (f"?token={GOOD}", 200),
        (f"guide/?token={BAD}", 200),
    ):
        answer = await gate.get(folder + rest, headers=INSIDE)
        assert answer.status == status, rest
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not answer.headers.get("Location", "").startswith(("/", "http"))
    for method in ("POST", "PUT", "OPTIONS"):
        assert (await gate.request(method, folder, headers=INSIDE)).status == 405


async def test_the_log_never_has_what_a_path_holds(make_gate: MakeGate) -> None:
    gate = await make_gate(frame=COOKIELESS)
    folder = await folder_of(gate)
    sealed = sealed_in(folder)
    host = f"Host: 127.0.0.1:{gate.port}\r\nConnection: close\r\n\r\n"
    inside = "".join(f"{name}: {value}\r\n" for name, value in INSIDE.items())
    targets = (
        folder, folder + "guide/", folder + "nowhere", f"/-/s/{sealed}", f"/-/s/{sealed}?x=1",
        f"/-/s/{sealed}%2Fguide/", f"//-/s/{sealed}/", f"/-//s/{sealed}/", f"/-/s//{sealed}/",
        f"/%2d/s/{sealed}/", f"/-/%73/{sealed}/", f"/./-/s/{sealed}/", f"/guide/-/s/{sealed}/",
        f"http://127.0.0.1:{gate.port}/-/s/{sealed}/", f"/-/s/x/-/s/{sealed}/", f"/-/S/{sealed}/",
        f"/-/s/{sealed}/#part", f"/guide/?back=/-/s/{sealed}/", f"/-/s/{sealed}x/",
    )  # fmt: skip
    for target in targets:
        for headers in ("", inside, f"Referer: {gate.origin}{folder}\r\n"):
            await exchange(gate, f"GET {target} HTTP/1.1\r\n{headers}{host}".encode())
    lines = await gate.log()
    assert len(lines) == 1 + 3 * len(targets)
    assert sealed[:40] not in json.dumps(lines)
    assert {"/", "/guide/", "/nowhere"} <= {line["url.path"] for line in lines}


# Loads from elsewhere


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [
        ("no-cors", "image"), ("no-cors", "script"), ("no-cors", "style"), ("no-cors", "video"),
        ("cors", "empty"), ("cors", "font"), ("no-cors", "empty"), ("websocket", "websocket"),
        ("same-origin", "worker"),
    ],
)  # fmt: skip
async def test_pages_of_others_load_no_part_of_the_site(
    make_gate: MakeGate, site: str, mode: str, dest: str
) -> None:
    gate = await make_gate(site={"public": ("/single.html",)}, frame={"allowed_origins": (PORTAL,)})
    headers = {**await gate.sign_in(), **fetched(site, mode, dest), "Origin": PORTAL}
    for path in ("/", "/assets/app.js", "/nowhere", f"/?token={GOOD}"):
        answer = await gate.get(path, headers=headers)
        assert answer.status == 403, path
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await gate.get("/single.html", headers=headers)).status == 200
