"""404 for a reader with a session: the site's own page, or ours where it has none."""

from pathlib import Path

import pytest

from tests.conftest import DATA, MakeGate

MISSING = (DATA / "404.html").read_bytes()
PLAIN = {"Accept-Encoding": "identity"}


async def test_a_streamed_file_that_has_gone_since_the_start_is_404_and_never_stored(
    make_gate: MakeGate, docs_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.site.index.how_many", lambda: 0)  # none is held open
    gate = await make_gate(site={"memory_mib": 0})
    reader = {**await gate.sign_in(), **PLAIN}
    (docs_tree / "assets/main.0a1b2c3d.css").unlink()
    turned = docs_tree / "assets/logo.png"
    turned.unlink()
    turned.symlink_to(docs_tree.parent / "outside.txt")
    for path in ("/assets/main.0a1b2c3d.css", "/assets/logo.png"):
        answer = await gate.get(path, headers=reader)
        assert (answer.status, await answer.read()) == (404, MISSING)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.content_type == "text/html"
    (docs_tree / "404.html").unlink()
    answer = await gate.get("/nowhere", headers=reader)
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert {line["gate.outcome"] for line in await gate.log()} == {"intake", "allowed"}


@pytest.mark.parametrize(
    ("asking", "kind"),
    [({}, "application/problem+json"), ({"Sec-Fetch-Mode": "navigate"}, "text/html")],
)
async def test_without_a_404_page_of_the_sites_own_there_is_ours(
    make_gate: MakeGate, docs_tree: Path, asking: dict[str, str], kind: str
) -> None:
    (docs_tree / "404.html").unlink()
    gate = await make_gate()
    answer = await gate.get("/nowhere-at-all", headers={**await gate.sign_in(), **asking})
    assert (answer.status, answer.content_type) == (404, kind)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "nowhere-at-all" not in await answer.text()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
async def test_an_unknown_path_of_the_gates_own_is_404_for_everyone(
    make_gate: MakeGate, method: str
) -> None:
    gate = await make_gate()
    for reader in ({}, await gate.sign_in()):
        for path in (
            "/-/nothing",
            "/-/",
            "/%2d/nothing",
            "/-%2fnothing",
            "/-/session/",
            "/-/metrics",
        ):
            answer = await gate.request(method, f"{path}?token=good-token", headers=reader)
            assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")
            assert "Set-Cookie" not in answer.headers
            assert MISSING not in await answer.read()
