"""A rebuilt site is served whole once it is still and complete; anything else is not served."""

import asyncio
import contextlib
import gc
import os
import re
import shutil
from pathlib import Path

import pytest

from gate.app import SITE
from gate.config.settings import SiteSettings
from gate.readiness import Readiness
from gate.site.content import Variant
from gate.site.current import CurrentSite
from gate.site.index import Entry, Site, read_site
from gate.site.policy import SitePolicy
from gate.site.references import local_paths
from gate.site.watch import STILL, Watcher
from tests.conftest import Gate, MakeGate, cookie_of
from tests.fakes import GOOD, FakeClock
from tests.raw import PATIENCE

BIG = 200_000
PLAIN = {"Accept-Encoding": "identity", "Connection": "close"}
REFUSED = "a rebuilt site is broken, and the one before is served"


def build(root: Path, word: str, *, pages: int = 3) -> None:
    """What a generator does: delete everything, and write it anew in the same folder."""
    root.mkdir(exist_ok=True)
    for old in root.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    links = "".join(f'<a href="p{n}/">{n}</a>' for n in range(pages))
    page = f'<html><link rel="stylesheet" href="/{word}.css"><h1>{word}</h1>{{}}</html>'
    (root / f"{word}.css").write_text(f"/* {word} */")
    (root / "big.bin").write_bytes(word.encode("ascii")[:1] * BIG)
    (root / "index.html").write_text(page.format(links))
    for number in range(pages):
        (root / f"p{number}").mkdir()
        (root / f"p{number}" / "index.html").write_text(page.format('<a href="../">up</a>'))


class Bench:
    """A site that is looked after, and a clock."""

    def __init__(self, root: Path, clock: FakeClock, memory: int) -> None:
        self.root, self.clock, self.memory = root, clock, memory
        self.readiness = Readiness()
        first = self.read()
        self.current = CurrentSite(first, SitePolicy(SiteSettings(), "frame-ancestors 'none'", ""))
        self.watcher = Watcher(
            self.current, root, self.read, self.readiness, clock=clock.monotonic, wall=clock.wall
        )

    def read(self, like: Site | None = None, go_on: object = None) -> Site:
        return read_site(self.root, public=(), memory_bytes=self.memory, like=like)

    async def settle(self) -> None:
        """Two looks, with enough time between them."""
        await self.watcher.look()
        self.clock.advance(STILL)
        await self.watcher.look()

    def body(self, path: str) -> bytes:
        entry = self.current.site.lookup(path)
        assert isinstance(entry, Entry)
        held = entry.identity.held
        return entry.identity.body if held is None else held.path.read_bytes()  # type: ignore[return-value]


@pytest.fixture(params=[0, 1 << 20], ids=["streamed", "in-memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Bench:
    build(tmp_path / "built", "one")
    return Bench(tmp_path / "built", clock, request.param)


async def test_a_build_counts_once_it_has_been_still_for_two_seconds(bench: Bench) -> None:
    build(bench.root, "two")
    await bench.watcher.look()
    bench.clock.advance(STILL - 0.1)
    await bench.watcher.look()
    assert b"one" in bench.body("/")
    (bench.root / "late.txt").write_text("one more")
    bench.clock.advance(STILL)
    await bench.watcher.look()
    assert b"one" in bench.body("/")
    bench.clock.advance(STILL)
    await bench.watcher.look()
    assert b"two" in bench.body("/")
    assert bench.current.statistics().swapped == 1
    assert bench.current.statistics().since == bench.clock.wall()


async def test_what_did_not_change_is_not_read_again(bench: Bench) -> None:
    before = bench.current.build
    await bench.settle()
    assert bench.current.build is before


async def test_the_old_build_is_whole_while_the_new_one_is_written(bench: Bench) -> None:
    shutil.rmtree(bench.root)
    await bench.watcher.look()
    assert b"one" in bench.body("/")
    assert bench.body("/big.bin") == b"o" * BIG
    build(bench.root, "two")
    assert bench.body("/big.bin") == b"o" * BIG
    await bench.settle()
    assert bench.body("/big.bin") == b"t" * BIG


def no_index(root: Path) -> None:
    (root / "index.html").unlink()


def no_page(root: Path) -> None:
    shutil.rmtree(root / "p1")


def no_style(root: Path) -> None:
    (root / "two.css").unlink()


def half_a_page(root: Path) -> None:
    page = root / "p2" / "index.html"
    page.write_text(page.read_text().partition("<h1>")[0])


def empty_page(root: Path) -> None:
    (root / "p2" / "index.html").write_text("")


def folder_of_ours(root: Path) -> None:
    (root / "-").mkdir()


def no_folder(root: Path) -> None:
    shutil.rmtree(root)


@pytest.mark.parametrize(
    "damage",
    [no_index, no_page, no_style, half_a_page, empty_page, folder_of_ours, no_folder],
    ids=lambda damage: damage.__name__,
)
async def test_a_broken_build_is_refused_once_and_the_old_one_served_until_it_is_mended(
    bench: Bench, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    build(bench.root, "two")
    assert callable(damage)
    damage(bench.root)
    await bench.settle()
    await bench.settle()
    assert b"one" in bench.body("/")
    assert (bench.readiness.problem, bench.readiness.notes) == (None, REFUSED)
    assert bench.current.statistics().refused == 1
    assert caplog.text.count("the rebuilt site is not served") == 1
    build(bench.root, "two")
    await bench.settle()
    assert b"two" in bench.body("/")
    assert bench.readiness.notes is None


async def test_a_missing_file_is_named_with_the_page(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    build(bench.root, "two")
    (bench.root / "two.css").unlink()
    await bench.settle()
    assert re.search(r"\S+\.html names /two\.css, which is not there", caplog.text)


async def test_a_link_that_was_dead_before_is_no_sign_of_a_half_written_build(
    tmp_path: Path, clock: FakeClock
) -> None:
    root = tmp_path / "built"

    def dead(word: str) -> None:
        build(root, word)
        (root / "old.html").write_text('<a href="/gone/">x</a><a href=".git/x">y</a></html>')

    dead("one")
    bench = await asyncio.to_thread(Bench, root, clock, 1 << 20)
    dead("two")
    await bench.settle()
    assert b"two" in bench.body("/")


async def test_links_that_leave_the_site_and_those_of_the_404_page_do_not_count(
    bench: Bench,
) -> None:
    build(bench.root, "two")
    (bench.root / "more.html").write_text(
        '<a href="https://example.com/x">a</a><a href="//cdn/x">b</a><a href="mailto:x@y">c</a>'
        '<a href="#top">d</a><a href="?q=1">e</a><a href="">f</a><img src="data:,x">'
        '<a href="http://[">g</a><a href="p%31/">h</a><a href="p1#part">i</a>'
        '<link rel="canonical" href="/elsewhere/">'
    )
    (bench.root / "404.html").write_text('<a href="/docs/x">x</a>')
    await bench.settle()
    assert b"two" in bench.body("/")


async def test_a_link_that_is_turned_to_another_folder_is_a_new_build(
    tmp_path: Path, clock: FakeClock
) -> None:
    for word in ("one", "two"):
        build(tmp_path / word, word)
    link = tmp_path / "current"
    link.symlink_to("one")
    bench = await asyncio.to_thread(Bench, link, clock, 0)
    (tmp_path / "next").symlink_to("two")
    os.replace(tmp_path / "next", link)
    await bench.settle()
    assert b"two" in bench.body("/")


async def test_what_is_the_same_in_both_builds_is_not_compressed_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    build(tmp_path / "built", "one")
    bench = await asyncio.to_thread(Bench, tmp_path / "built", clock, 1 << 20)
    before = bench.current.site.lookup("/one.css")
    (tmp_path / "built" / "new.txt").write_text("new")
    await bench.settle()
    after = bench.current.site.lookup("/one.css")
    assert isinstance(before, Entry)
    assert isinstance(after, Entry)
    assert after.variants is before.variants


def open_files() -> list[str]:
    """The names of all that this process has open."""
    found = []
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.append(os.readlink(f"/proc/self/fd/{each}"))
    return found


async def test_files_of_a_build_that_is_no_longer_served_are_closed(
    tmp_path: Path, clock: FakeClock
) -> None:
    build(tmp_path / "built", "one")
    bench = await asyncio.to_thread(Bench, tmp_path / "built", clock, 0)
    for word in ("two", "three", "four"):
        build(tmp_path / "built", word)
        await bench.settle()
        assert word.encode() in bench.body("/")
    held = await asyncio.to_thread(open_files)
    assert len([name for name in held if name.startswith(f"{tmp_path}/built/")]) >= 6
    # the thread that read the last build was given the one before, and may not be done with it
    async with asyncio.timeout(PATIENCE):
        while [name for name in held if name.endswith("(deleted)") and str(tmp_path) in name]:
            held = await asyncio.to_thread(open_files)


# The whole gate


def words(text: str) -> set[str]:
    return set(re.findall(r"one|two|three", text))


@pytest.fixture
def rebuilding(docs_tree: Path) -> Path:
    build(docs_tree, "one")
    return docs_tree


async def swap(gate: Gate, root: Path, word: str) -> None:
    """What the watcher does, without its waits."""
    current = gate.server.app[SITE]
    await asyncio.to_thread(build, root, word)
    site = await asyncio.to_thread(read_site, root, public=(), memory_bytes=100_000)
    await current.swap(await current.prepared(site), now=0.0)


async def test_twenty_swaps_under_load_and_no_answer_fails_or_mixes(
    make_gate: MakeGate, rebuilding: Path
) -> None:
    gate = await make_gate(site={"memory_mib": 0, "reload": False})
    cookie = {**PLAIN, **await gate.sign_in()}
    done, answered = asyncio.Event(), 0

    async def read() -> None:
        nonlocal answered
        while not done.is_set():
            page = await gate.get("/p1/", headers=cookie)
            big = await gate.get("/big.bin", headers=cookie)
            assert (page.status, big.status) == (200, 200)
            assert len(words(await page.text())) == 1
            body = await big.read()
            assert body == body[:1] * BIG
            answered += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(read())
        for number in range(20):
            await swap(gate, rebuilding, ("two", "three")[number % 2])
        done.set()
    assert answered >= 6
    assert gate.server.app[SITE].statistics().swapped == 20


async def test_nothing_of_a_build_is_held_once_pages_of_the_next_were_read(
    make_gate: MakeGate, rebuilding: Path
) -> None:
    gate = await make_gate(site={"reload": False}, server={"fast_door": True})
    # a connection that is to be closed would go by the other door
    headers = {"Accept-Encoding": "identity", **await gate.sign_in()}

    async def read() -> None:
        for path in ("/p1/", "/p2/", "/p1/"):
            assert (await gate.get(path, headers=headers)).status == 200

    await swap(gate, rebuilding, "two")  # the first one is what a start is made of
    await read()
    before = body_of(gate.server.app[SITE].build.site, "/p1/")
    assert any(before is each for each in bodies_held())
    await swap(gate, rebuilding, "three")
    await read()
    gc.collect()
    assert not any(before is each for each in bodies_held())


def bodies_held() -> list[bytes | None]:
    """The bodies of all variants that anybody holds."""
    return [each.body for each in gc.get_objects() if isinstance(each, Variant)]


def body_of(site: Site, path: str) -> bytes | None:
    entry = site.lookup(path)
    assert isinstance(entry, Entry)
    return entry.identity.body


async def test_a_stream_under_way_ends_as_it_began(make_gate: MakeGate, rebuilding: Path) -> None:
    (rebuilding / "film.bin").write_bytes(b"o" * 30_000_000)
    gate = await make_gate(site={"memory_mib": 0, "reload": False})
    cookie = (await gate.sign_in())["Cookie"]
    reader, writer = await asyncio.open_connection(gate.host, gate.port, limit=4096)
    writer.write(f"GET /film.bin HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    await swap(gate, rebuilding, "two")
    for _ in range(300):
        assert await reader.readexactly(100_000) == b"o" * 100_000
    writer.close()
    assert (await gate.get("/film.bin", headers={"Cookie": cookie, **PLAIN})).status == 404


async def test_a_file_that_is_overwritten_in_its_place_is_not_sent_mixed(
    make_gate: MakeGate, rebuilding: Path
) -> None:
    gate = await make_gate(site={"memory_mib": 0, "reload": False})
    cookie = {**PLAIN, **await gate.sign_in()}
    (rebuilding / "big.bin").write_bytes(b"x" * BIG)
    assert (await gate.get("/big.bin", headers=cookie)).status == 404


async def test_a_running_gate_notices_by_itself_and_readiness_tells_of_a_broken_build(
    make_gate: MakeGate, rebuilding: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.site.watch.PERIOD", 0.01)
    monkeypatch.setattr("gate.site.watch.PATIENCE", 0)
    gate = await make_gate()
    cookie = cookie_of(await gate.get(f"/?token={GOOD}"))

    async def until(path: str, found: str) -> None:
        async with asyncio.timeout(30):
            while (
                found
                not in await (await gate.get(path, headers={"Cookie": cookie, **PLAIN})).text()
            ):
                clock.advance(STILL)

    await asyncio.to_thread(build, rebuilding, "two")
    await until("/p1/", "two")
    (rebuilding / "two.css").unlink()
    await until("/-/readyz", REFUSED)
    ready = await gate.get("/-/readyz")
    assert (ready.status, await ready.json()) == (200, {"status": "ready", "detail": REFUSED})
    assert "two" in await (await gate.get("/p1/", headers={"Cookie": cookie, **PLAIN})).text()


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("x.css", "/guide/x.css"),
        ("./x.css?v=1#a", "/guide/x.css"),
        ("../", "/"),
        ("..", "/"),
        (".", "/guide/"),
        ("../../../x", "/x"),
        ("/a/./b/../c/", "/a/c/"),
        ("p%31/", "/guide/p%31/"),
        (" x ", "/guide/x"),
    ],
)
def test_a_relative_path_is_read_as_browsers_do(named: str, path: str) -> None:
    assert list(local_paths(f'<a href="{named}">x</a>'.encode(), "/guide/")) == [path]


def test_every_way_to_name_a_file_counts_and_no_address_elsewhere() -> None:
    page = b"""<base href="/v2/"><link rel="stylesheet" href="a"><script src="b"></script>
        <img src="c" srcset="d 1x, e 2x"><video src="f" poster="g"></video><object data="h">
        <a href="https://x/y">x</a><a href="//x/y">x</a><a href="mailto:x@y">x</a><a href="#z">x</a>
        <link rel="canonical" href="/gone"><link rel="preconnect" href="/gone"><p data="gone">"""
    assert sorted(local_paths(page, "/")) == [f"/v2/{name}" for name in "abcdefgh"]
    assert list(local_paths(b'<base href="https://other/"><a href="x">x</a>', "/")) == []
