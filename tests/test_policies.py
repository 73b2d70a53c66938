"""Which content security policy every file of the site is sent with, and when that is known."""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest

from gate.site.index import Entry, Site, read_site
from gate.site.inline_scripts import Page, read_page
from gate.site.policies import MOST_BYTES, Policies
from gate.site.policy import Headers, size
from tests.conftest import DATA, Gate, MakeGate
from tests.test_built_sites import KINDS, Kind
from tests.test_policy import (
    ANCESTORS,
    ENFORCED,
    HASH_A,
    HASH_B,
    REPORTED,
    A,
    B,
    policy_of,
    script_sources,
)  # fmt: skip
from tests.trees import BIG, put


def site_of(tmp_path: Path, pages: dict[str, str], *, memory: int = BIG) -> Site:
    for name, html in {"index.html": "<title>Home</title>", **pages}.items():
        put(tmp_path / "site", name, html.encode("utf-8"))
    return read_site(tmp_path / "site", public=(), memory_bytes=memory)


def entry_of(site: Site, path: str) -> Entry:
    found = site.lookup(path)
    assert isinstance(found, Entry)
    return found


def policies_at(policies: Policies, site: Site, paths: Iterable[str]) -> list[Headers | None]:
    return [policies.of(entry_of(site, path)) for path in paths]


TWO = {"a/index.html": "<script>a</script>", "b.html": "<script>b</script>"}


@pytest.mark.parametrize("memory", [0, BIG], ids=["streamed", "in-memory"])
def test_all_pages_have_one_policy_where_it_is_short(tmp_path: Path, memory: int) -> None:
    site = site_of(tmp_path, TWO, memory=memory)
    policies = Policies(site, policy_of())
    survey = policies.survey()
    assert survey is not None
    assert (survey.pages, survey.one_for_all) == (3, True)
    found = policies_at(policies, site, ["/", "/a/", "/a/index.html", "/b.html"])
    assert found[0] is not None
    assert sorted(script_sources(found[0])) == sorted(["'self'", HASH_A, HASH_B])
    assert all(each is found[0] for each in found)


def long_ancestors(page: Page, length: int) -> str:
    """An ancestors directive with which the policy of the page has this length."""
    short = size(policy_of(ancestors="frame-ancestors ").page(page))
    return "frame-ancestors " + "x" * (length - short)


def test_one_policy_is_for_all_up_to_4096_bytes_and_no_longer(tmp_path: Path) -> None:
    site = site_of(tmp_path, TWO)
    both = Page(A.scripts | B.scripts)
    for length, one_for_all in ((MOST_BYTES, True), (MOST_BYTES + 1, False)):
        policies = Policies(site, policy_of(ancestors=long_ancestors(both, length)))
        survey = policies.survey()
        assert survey is not None
        assert survey.one_for_all is one_for_all
        assert (survey.longest == MOST_BYTES) is one_for_all
        home, a, b = policies_at(policies, site, ["/", "/a/", "/b.html"])
        assert home is not None
        assert a is not None
        assert b is not None
        if not one_for_all:
            expected = [["'self'"], ["'self'", HASH_A], ["'self'", HASH_B]]
            assert [script_sources(each) for each in (home, a, b)] == expected


async def test_a_page_asked_for_early_is_read_alone_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def counted(body: bytes) -> Page:
        read.append(body)
        return read_page(body)

    monkeypatch.setattr("gate.site.policies.read_page", counted)
    site = await asyncio.to_thread(site_of, tmp_path, TWO)
    policies = Policies(site, policy_of())
    entry = entry_of(site, "/a/")
    assert policies.of(entry) is None
    found = await asyncio.gather(*(policies.of_page(entry) for _ in range(20)))
    assert [script_sources(each) for each in found] == [["'self'", HASH_A]] * 20
    assert policies.of(entry) is found[0]
    assert await policies.of_page(entry_of(site, "/a/index.html")) == found[0]
    assert read == [b"<script>a</script>"]


async def test_whoever_gives_up_waiting_leaves_the_others_their_page(tmp_path: Path) -> None:
    site = await asyncio.to_thread(site_of, tmp_path, TWO)
    policies = Policies(site, policy_of())
    impatient, patient = (
        asyncio.create_task(policies.of_page(entry_of(site, "/a/"))) for _ in range(2)
    )
    await asyncio.sleep(0)
    impatient.cancel()
    assert script_sources(await patient) == ["'self'", HASH_A]


def test_files_that_are_no_pages_are_never_waited_for(tmp_path: Path) -> None:
    site = site_of(tmp_path, {"a.svg": "<svg/>", "a.css": "", "a.js": ""})
    policies = Policies(site, policy_of())
    assert None not in policies_at(policies, site, ["/a.svg", "/a.css", "/a.js"])


def test_with_csp_off_nothing_is_read(tmp_path: Path) -> None:
    site = site_of(tmp_path, TWO)
    policies = Policies(site, policy_of(csp="off"))
    assert policies_at(policies, site, ["/", "/a/"]) == [{ENFORCED: ANCESTORS}] * 2
    assert policies.survey() is None


async def test_a_page_that_cannot_be_read_may_run_nothing_inline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.site.index.how_many", lambda: 0)  # none is held open
    site = await asyncio.to_thread(site_of, tmp_path, TWO, memory=0)
    await asyncio.to_thread((tmp_path / "site" / "b.html").unlink)
    policies = Policies(site, policy_of())
    assert script_sources(await policies.of_page(entry_of(site, "/b.html"))) == ["'self'"]
    assert "b.html" in caplog.text
    assert await asyncio.to_thread(policies.survey) is not None


async def test_the_log_names_what_is_kept_out_and_the_setting_that_lets_it_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cdn = "<script src=https://cdn.example/a.js></script><img src=//img.example/b.png>"
    site = await asyncio.to_thread(site_of, tmp_path, {"a.html": cdn, "b.html": cdn})
    await Policies(site, policy_of()).survey_aside()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    setting = (
        '[site] csp_sources = ["img-src https://img.example", "script-src https://cdn.example"]'
    )
    assert record.getMessage().endswith(setting)


async def test_the_log_names_a_page_whose_own_policy_is_too_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many = "".join(f"<script>{n}</script>" for n in range(80))
    site = await asyncio.to_thread(site_of, tmp_path, {"many.html": many})
    await Policies(site, policy_of()).survey_aside()
    (warning,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "many.html" in warning.getMessage()


async def test_a_site_without_anything_odd_is_not_talked_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = await asyncio.to_thread(site_of, tmp_path, TWO)
    with caplog.at_level(logging.INFO):
        await Policies(site, policy_of()).survey_aside()
    assert caplog.records == []


async def test_all_pages_are_read_once_the_gate_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await asyncio.to_thread(site_of, tmp_path, TWO)
    policies, done = Policies(site, policy_of()), asyncio.Event()
    survey_aside = policies.survey_aside

    async def noted() -> None:
        await survey_aside()
        done.set()

    monkeypatch.setattr(policies, "survey_aside", noted)
    async with policies:
        await done.wait()
    assert None not in policies_at(policies, site, ["/", "/a/", "/b.html"])


async def test_ending_does_not_wait_for_the_other_pages(tmp_path: Path) -> None:
    site = await asyncio.to_thread(site_of, tmp_path, {f"{n}.html": "<p>" * 50 for n in range(50)})
    policies = Policies(site, policy_of())
    async with policies:
        pass
    assert policies.survey() is None


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_sources_that_a_site_needs_are_those_that_the_gate_names(kind: Kind) -> None:
    site = read_site(DATA.parent / "sites" / kind.name, public=(), memory_bytes=0)
    survey = Policies(site, policy_of()).survey()
    assert survey is not None
    assert sorted(survey.blocked) == sorted(kind.sources)
    assert survey.one_for_all


# Through the application


@pytest.fixture
def scripted(docs_tree: Path) -> Path:
    for name in ("index.html", "404.html"):
        text = (docs_tree / name).read_text("utf-8")
        (docs_tree / name).write_text(text + f"<script>{name}</script>", "utf-8")
    return docs_tree


def hash_in(name: str) -> str:
    (source,) = read_page(f"<script>{name}</script>".encode()).scripts
    return source


async def policy_at(gate: Gate, path: str, **headers: str) -> tuple[int, str]:
    response = await gate.get(path, headers={**await gate.sign_in(), **headers})
    (policy,) = response.headers.getall(ENFORCED)
    return response.status, policy


@pytest.mark.parametrize("memory", [0, 256], ids=["streamed", "in-memory"])
async def test_pages_come_with_their_hashes_whatever_the_status(
    make_gate: MakeGate, scripted: Path, memory: int
) -> None:
    gate = await make_gate(site={"memory_mib": memory})
    for path, headers, expected, name in (
        ("/", {}, 200, "index.html"),
        ("/index.html", {}, 200, "index.html"),
        ("/", {"If-None-Match": "*"}, 304, "index.html"),
        ("/", {"Range": "bytes=0-1"}, 206, "index.html"),
        ("/nowhere", {}, 404, "404.html"),
    ):
        status, policy = await policy_at(gate, path, **headers)
        assert status == expected
        assert hash_in(name) in policy
        assert "default-src 'self'" in policy


async def test_the_gates_own_answers_know_no_hash_of_the_site(
    make_gate: MakeGate, scripted: Path
) -> None:
    gate = await make_gate()
    for path, headers in (("/", {"Cookie": ""}), ("/-/healthz", {}), ("/-/nowhere", {})):
        _, policy = await policy_at(gate, path, **headers)
        assert "sha256" not in policy
        assert policy.startswith("default-src 'none'; ")


async def test_the_mode_of_the_settings_is_the_one_of_the_pages(
    make_gate: MakeGate, scripted: Path
) -> None:
    gate = await make_gate(
        site={"csp": "report-only"}, frame={"allowed_origins": ("https://p.example",)}
    )
    response = await gate.get("/", headers=await gate.sign_in())
    assert response.headers.getall(ENFORCED) == ["frame-ancestors https://p.example 'self'"]
    assert hash_in("index.html") in response.headers[REPORTED]
    gate = await make_gate(site={"csp": "off"})
    assert await policy_at(gate, "/") == (200, ANCESTORS)
