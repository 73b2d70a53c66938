"""What `gate check` never says, and how the command takes a token."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from gate.check.mask import LONGEST_LOOK, Mask
from tests.checking import Check, checker
from tests.fakes import GOOD, FakeApi
from tests.processes import gate_process, run_gate, write_config

TOKEN = "tOken/with+CANARY~1="
KEY = "kEy-CANARY-2"
SPELLINGS = (TOKEN, TOKEN.lower(), quote(TOKEN, safe=""), TOKEN.replace("/", "\\/"), KEY, "CANARY")


@pytest.fixture
def check(api: FakeApi, docs_tree: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    return checker(api, docs_tree)


def echoed(form: str, token: str, key: str) -> web.Response:
    """An answer that has the token and the key in it, in some form."""
    match form:
        case "JSON":
            return web.json_response({token: True, "key": key, "list": [token, {"x": [key]}]})
        case "slashed":
            return web.Response(text='{"t": "' + token.replace("/", "\\/") + '", ' + key)
        case "name":
            return web.json_response({token: False})
        case "subject":
            return web.json_response({"ok": True, "sub": f"{key} {token}"})
        case "HTML":
            return web.Response(text=f"<a href='?t={quote(token, safe='')}'>{token}{key}</a>")
        case "no":
            return web.Response(status=500, text=f"{token} {key}")
        case "type":
            return web.Response(body=b"", headers={"Content-Type": f"text/{token}-{key}"})
        case "redirect":
            where = f"https://{key}@x.example/{token}/{key}?{token}#{token}"
            return web.Response(status=302, headers={"Location": where})
    raise AssertionError(form)


@pytest.mark.parametrize(
    "form", ["JSON", "slashed", "name", "subject", "HTML", "no", "type", "redirect"]
)
async def test_an_api_that_sends_back_what_it_got_makes_it_tell_nothing(
    check: Check, api: FakeApi, form: str
) -> None:
    seen: set[str] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.add(request.query["token"])
        return echoed(form, request.query["token"], request.headers["X-Key"])

    api.answer = answer
    report = await check(TOKEN, verify={"headers": {"X-Key": KEY}, "active": "/ok"})
    assert TOKEN in seen, "nothing was tried"
    for secret in SPELLINGS:
        assert secret not in report.text


async def test_credentials_that_come_back_are_not_told(check: Check, api: FakeApi) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        scheme, _, credentials = request.headers["Authorization"].partition(" ")
        return web.Response(status=500, text=f"{scheme}: {credentials}; {KEY}")

    api.answer = answer
    client = {"client_id": "gate", "client_secret": KEY}
    report = await check(verify={"preset": "introspection"}, introspection=client)
    assert report.problems == ["server-error"]
    assert KEY not in report.text
    assert "Z2F0ZTp" not in report.text  # the beginning of "gate:" in base64


def test_a_look_is_short_and_shows_the_shape_of_json_alone() -> None:
    look = Mask([]).look
    assert look(b'{"ok": "true", "n": 1, "who": "Annabel Lee", "l": [null]}') == (
        '{"ok": "true", "n": 1, "who": "***", "l": [null]}'
    )
    assert len(look(json.dumps(list(range(1000))).encode())) == LONGEST_LOOK + 1
    assert look(b"True\x1b[2J\n") == "True\\x1b[2J\\n"
    assert look(b"\xff\xfet") == "\\xff\\xfet"
    assert look(b"sid=0123456789abcdef0123456789abcdef") == "***"


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    ("says", "code", "told"),
    [(None, 0, "everything that"), (True, 1, "[yes-to-a-random-token] ")],
)
async def test_as_a_command_it_writes_nothing_tells_no_secret_and_ends_with_its_finding(
    tmp_path: Path, docs_tree: Path, api: FakeApi, says: bool | None, code: int, told: str
) -> None:
    api.tokens = {"good-CANARY": True}
    if says is not None:
        api.say(says)
    write_config(tmp_path, root=docs_tree, verify=f"{api.url}?key=CANARY")
    before = everything(tmp_path)
    environ = {"GATE_VERIFY__HEADERS": '{"X-Key": "CANARY"}'}
    arguments = ("check", "--token", "good-CANARY")
    ended, out, err = await run_gate(*arguments, cwd=tmp_path, environ=environ)
    assert ended == code
    assert told in out
    assert everything(tmp_path) == before
    assert not any(secret in out + err for secret in ("CANARY", "Traceback"))


async def test_the_token_may_come_from_the_environment(
    tmp_path: Path, docs_tree: Path, api: FakeApi
) -> None:
    write_config(tmp_path, root=docs_tree, verify=api.url)
    environ = {"GATE_CHECK_TOKEN": GOOD}
    code, out, _ = await run_gate("check", cwd=tmp_path, environ=environ)
    assert code == 0
    assert "the given token is good" in out
    code, out, _ = await run_gate("check", "--token=bad", cwd=tmp_path, environ=environ)
    assert code == 1, "the command line comes first"
    assert "[token-refused]" in out


@pytest.mark.parametrize(
    ("typed", "told"), [(f"{GOOD}\n", "the given token is good"), ("", "[token-malformed]")]
)
async def test_the_token_may_come_from_standard_input(
    tmp_path: Path, docs_tree: Path, api: FakeApi, typed: str, told: str
) -> None:
    write_config(tmp_path, root=docs_tree, verify=api.url)
    (tmp_path / "typed").write_text(typed)
    async with gate_process(
        "check", "--token", "-", cwd=tmp_path, before='exec "$@" <typed'
    ) as process:
        await process.ended()
    assert told in process.out
    assert "Traceback" not in process.err


async def test_what_is_wrong_with_the_configuration_is_listed_and_nobody_asked(
    tmp_path: Path, docs_tree: Path, api: FakeApi
) -> None:
    more = '[cache]\nshared_url = "redis://:secret@host/notadb"\nttl = 0'
    write_config(tmp_path, root=docs_tree, verify=api.url, more=more)
    code, out, err = await run_gate("check", cwd=tmp_path)
    assert (code, out, api.count) == (2, "", 0)
    assert "[cache] shared_url: may have a number of a database as its path" in err
    assert "[cache] ttl" in err
    assert "secret" not in err.replace(os.fspath(tmp_path), "")
