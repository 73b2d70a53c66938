"""Files that a start leaves to be made: what is sent of them before, and that all are made."""

import asyncio
import logging
import os
from pathlib import Path

import brotli
import pytest

from gate.app import SITE
from gate.readiness import Readiness
from gate.site.content import WORTH_WAITING
from gate.site.current import CurrentSite
from gate.site.encodings import Encoded, encode
from gate.site.haste import BYTES_A_SECOND, START_SECONDS, Haste
from gate.site.index import Entry, Site, read_site
from gate.site.making import Making
from gate.site.tree import File, TreeProblem
from gate.site.watch import STILL, Watcher
from tests.conftest import MakeGate
from tests.fakes import FakeClock
from tests.late import nothing_made, read_late
from tests.raw import doors_of
from tests.test_policy import policy_of
from tests.test_reload import build, open_files
from tests.trees import BIG, HTML, put, small_site

LARGE = b"words and words " * (WORTH_WAITING // 16 + 1)


def entry(site: Site, path: str) -> Entry:
    found = site.lookup(path)
    assert isinstance(found, Entry)
    return found


@pytest.mark.parametrize("memory", [0, BIG], ids=["streamed", "in-memory"])
def test_a_file_is_the_same_whenever_it_is_made(docs_tree: Path, memory: int) -> None:
    early = read_site(docs_tree, public=(), memory_bytes=memory)
    late = read_late(docs_tree, memory=memory)
    assert list(late) == list(early)
    for before, after in zip(early.contents(), late.contents(), strict=True):
        assert before.is_made
        assert after.plain() == before.plain()
        told = [
            [(each.coding, each.etag, each.size, each.body, each.file, dict(each.headers))
             for each in content.variants().values()]
            for content in (before, after)
        ]  # fmt: skip
        assert told[0] == told[1]
        assert after.is_made


def test_nothing_is_read_before_it_is_asked_for_or_its_turn_comes(docs_tree: Path) -> None:
    site = read_late(docs_tree, memory=BIG)
    assert not any(content.is_made or content.ready for content in site.contents())


@pytest.mark.parametrize("sibling", [False, True], ids=["in-memory", "streamed-with-sibling"])
def test_a_large_file_is_streamed_until_it_is_made(tmp_path: Path, sibling: bool) -> None:
    root = small_site(tmp_path)
    put(root, "large.js", LARGE)
    if sibling:
        put(root, "large.js.br", brotli.compress(LARGE, quality=1))
    content = entry(read_late(root, memory=0 if sibling else BIG), "/large.js").content
    assert content.ready is not None
    (first,) = content.ready.values()
    assert (first.coding, first.body, first.size) == ("identity", None, len(LARGE))
    assert first.headers["Vary"] == "Accept-Encoding"
    made = content.variants()
    assert set(made) == {"br", "identity", *([] if sibling else ["gzip"])}
    assert all(each.headers["Vary"] == "Accept-Encoding" for each in made.values())
    packed = [each.etag for coding, each in made.items() if coding != "identity"]
    assert first.etag not in packed


@pytest.mark.parametrize("held", [True, False])
def test_a_file_that_was_written_anew_is_not_made(
    tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr("gate.site.index.how_many", lambda: 0)
    root = small_site(tmp_path)
    content = entry(read_late(root, memory=BIG), "/").content
    put(root, "index.html", b"another build")
    for ask in (content.variants, content.plain):
        with pytest.raises(TreeProblem, match="has changed"):
            ask()
    assert content.ready is None


def test_a_file_that_was_deleted_is_made_of_what_it_was(tmp_path: Path) -> None:
    root = small_site(tmp_path)
    content = entry(read_late(root, memory=BIG), "/").content
    (root / "index.html").unlink()
    put(root, "index.html", b"another build")
    assert content.variants()["identity"].body == HTML.encode()
    assert not [name for name in open_files() if name.startswith(str(root))]


@pytest.mark.parametrize("held", [True, False])
def test_a_file_that_cannot_be_read_is_no_site_though_it_is_made_later(
    tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_site(tmp_path)
    gone = {name: File(str(root / name), 1, 1) for name in ("index.html", "gone.html")}
    monkeypatch.setattr("gate.site.index.read_tree", lambda root: gone)
    if not held:
        monkeypatch.setattr("gate.site.index.how_many", lambda: 0)
        monkeypatch.setattr("gate.site.content.Held", None)
    with pytest.raises(TreeProblem, match=r"gone\.html cannot be read|index\.html changes while"):
        read_late(root, memory=BIG)


async def test_those_who_ask_at_once_have_it_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(name: str, body: bytes, built: dict[str, bytes]) -> Encoded:
        made.append(name)
        return encode(name, body, built)

    monkeypatch.setattr("gate.site.content.encode", counted)
    site = await asyncio.to_thread(lambda: read_late(small_site(tmp_path), memory=BIG))
    content, making = entry(site, "/").content, Making(site)
    impatient = asyncio.create_task(making.variants(content))
    await asyncio.sleep(0)
    impatient.cancel()
    asked = [making.variants(content) for _ in range(20)]
    found = await asyncio.gather(*asked, making.make_aside())
    assert made == ["index.html"]
    assert all(each is content.ready for each in found[:-1])


async def test_all_is_made_once_the_gate_serves_and_nothing_stays_open(
    docs_tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = await asyncio.to_thread(read_late, docs_tree, memory=BIG)
    (docs_tree / "single.html").write_text("overwritten")
    count = len(list(site.contents()))
    with caplog.at_level(logging.INFO):
        await Making(site).make_aside()
    left = [content.name for content in site.contents() if not content.is_made]
    assert left == ["single.html"]
    (record,) = (each for each in caplog.records if each.name == "gate.site.making")
    assert record.getMessage().startswith(f"{count - 1} files were read and compressed")
    assert record.getMessage().endswith("1 have gone")
    held = await asyncio.to_thread(open_files)
    assert [name for name in held if name.startswith(str(docs_tree))] == [
        str(docs_tree / "single.html")
    ]


async def test_a_site_that_was_made_whole_is_not_talked_about(
    docs_tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = await asyncio.to_thread(read_site, docs_tree, public=(), memory_bytes=BIG)
    with caplog.at_level(logging.INFO):
        await Making(site).make_aside()
    assert [each for each in caplog.records if each.name == "gate.site.making"] == []


async def test_nothing_more_is_made_of_a_site_that_is_no_longer_served(docs_tree: Path) -> None:
    site = await asyncio.to_thread(read_late, docs_tree, memory=BIG)
    current = CurrentSite(site, policy_of())
    async with current:
        fresh = await asyncio.to_thread(read_site, docs_tree, public=(), memory_bytes=BIG)
        await current.swap(await current.prepared(fresh), now=0.0)
        made = [content.is_made for content in site.contents()]
    assert made == [content.is_made for content in site.contents()]
    assert all(content.is_made for content in current.site.contents())


async def test_a_served_site_is_made_by_itself(
    docs_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await asyncio.to_thread(read_late, docs_tree, memory=BIG)
    current, done = CurrentSite(site, policy_of()), asyncio.Event()
    make_aside = current.build.making.make_aside

    async def noted() -> None:
        await make_aside()
        done.set()

    monkeypatch.setattr(current.build.making, "make_aside", noted)
    async with current:
        await done.wait()
    assert all(content.is_made for content in site.contents())


async def test_a_build_is_taken_whole_whatever_was_made_of_the_one_before(
    tmp_path: Path, clock: FakeClock
) -> None:
    root = tmp_path / "built"
    await asyncio.to_thread(build, root, "one")
    first = await asyncio.to_thread(read_late, root, memory=BIG)
    current = CurrentSite(first, policy_of())
    watcher = Watcher(
        current,
        root,
        lambda like, go_on: read_site(root, public=(), memory_bytes=BIG, like=like),
        Readiness(),
        clock=clock.monotonic,
    )
    await asyncio.to_thread(build, root, "two")
    assert b"one" in await asyncio.to_thread(entry(first, "/").content.plain)
    await watcher.look()
    clock.advance(STILL)
    await watcher.look()
    assert current.site is not first
    assert all(content.is_made for content in current.site.contents())
    assert b"two" in await asyncio.to_thread(entry(current.site, "/").content.plain)


async def test_the_fast_door_leaves_to_the_other_what_is_not_made_and_then_answers_itself(
    make_gate: MakeGate,
) -> None:
    with nothing_made():
        gate = await make_gate(server={"fast_door": True})
        cookie = await gate.sign_in()
        doors = doors_of(gate)
        told = []
        for hot in (0, 1, 2):
            response = await gate.get("/assets/app.js", headers=cookie)
            told.append((response.status, response.headers["ETag"], response.headers["Vary"],
                         response.headers["Content-Encoding"], await response.read()))  # fmt: skip
            assert doors.answers == hot
    assert told[0] == told[1] == told[2]
    assert told[0][0] == 200


@pytest.mark.parametrize("descriptors", [0, 1 << 10], ids=["by-name", "held"])
async def test_what_changed_before_it_was_made_is_404(
    make_gate: MakeGate, docs_tree: Path, descriptors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.site.index.how_many", lambda: descriptors)
    with nothing_made():
        gate = await make_gate(site={"reload": False})
        cookie = await gate.sign_in()
        content = entry(gate.server.app[SITE].site, "/single.html").content
        (docs_tree / "single.html").write_text("<title>another build</title>")
        (docs_tree / "assets" / "logo.png").unlink()
        assert (await gate.get("/single.html", headers=cookie)).status == 404
        assert content.ready is None
        deleted = await gate.get("/assets/logo.png", headers=cookie)
        assert deleted.status == (200 if descriptors else 404)


def test_a_start_makes_files_for_half_a_second_and_begins_none_that_would_take_longer(
    clock: FakeClock,
) -> None:
    at_once = Haste(clock.monotonic)
    most = int(BYTES_A_SECOND * START_SECONDS)
    assert at_once(most - 1)
    assert not at_once(most)
    clock.advance(START_SECONDS - 0.01)
    assert at_once(1000)
    clock.advance(0.01)
    assert not at_once(0)


def test_the_descriptors_are_for_what_is_streamed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_site(tmp_path)
    put(root, "large.bin", os.urandom(4000))
    monkeypatch.setattr("gate.site.index.how_many", lambda: 1)
    site = read_late(root, memory=12_000)
    assert entry(site, "/large.bin").identity.held is not None
    assert [name for name in open_files() if name.startswith(str(root))] == [
        str(root / "large.bin")
    ]
