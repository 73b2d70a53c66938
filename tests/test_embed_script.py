"""The element's script as a file: small, loadable by every page, never stale for long."""

import gzip

import brotli
import pytest

from tests.conftest import Gate

MOST_BYTES = 6 * 1024


@pytest.mark.parametrize(
    ("coding", "decode"), [("br", brotli.decompress), ("gzip", gzip.decompress)]
)
async def test_the_script_is_small(gate: Gate, coding: str, decode: object) -> None:
    answer = await gate.get("/-/embed.js", headers={"Accept-Encoding": coding})
    assert answer.headers["Content-Encoding"] == coding
    body = await answer.read()
    assert len(body) <= MOST_BYTES
    assert callable(decode)
    plain = await gate.get("/-/embed.js", headers={"Accept-Encoding": "identity"})
    assert decode(body) == await plain.read()


async def test_every_page_may_load_the_script_and_none_keeps_it_for_long(gate: Gate) -> None:
    answer = await gate.get(
        "/-/embed.js",
        headers={
            "Origin": "https://anybody.example",
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Dest": "script",
        },
    )
    assert answer.status == 200
    wanted = {
        "Content-Type": "text/javascript; charset=utf-8",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "public, max-age=600",
        "X-Content-Type-Options": "nosniff",
    }
    assert {name: answer.headers.get(name) for name in wanted} == wanted
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert "Set-Cookie" not in answer.headers
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_browser_that_has_the_script_is_told_so(gate: Gate) -> None:
    tags = set()
    for coding in ("br", "gzip", "identity"):
        first = await gate.get("/-/embed.js", headers={"Accept-Encoding": coding})
        tags.add(first.headers["ETag"])
        again = await gate.get(
            "/-/embed.js",
            headers={"Accept-Encoding": coding, "If-None-Match": first.headers["ETag"]},
        )
        assert again.status == 304
        assert await again.read() == b""
        for name in ("ETag", "Cache-Control", "Vary", "Access-Control-Allow-Origin"):
            assert again.headers[name] == first.headers[name]
        assert again.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert len(tags) == 3


@pytest.mark.parametrize("path", ["/-/frame.js", "/-/gate.css"])
async def test_what_the_shell_loads_also_loads_without_an_origin(gate: Gate, path: str) -> None:
    answer = await gate.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
