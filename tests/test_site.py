"""The index: which path is what, and in which codings."""

import gzip
import os
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import brotli
import pytest

from gate.site.index import Entry, Redirect, Site, read_site
from tests.trees import BIG, HTML, put, small_site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_site(tmp_path)


def read(root: Path, *public: str, memory: int = BIG) -> Site:
    return read_site(root, public=public, memory_bytes=memory)


def entry(site: Site, path: str) -> Entry:
    found = site.lookup(path)
    assert isinstance(found, Entry)
    return found


def test_the_index_holds_files_folders_and_their_redirects(docs_tree: Path) -> None:
    assert set(read(docs_tree)) == {
        "/", "/index.html", "/404.html", "/single.html",
        "/guide", "/guide/", "/guide/index.html",
        "/guide/deep", "/guide/deep/", "/guide/deep/index.html",
        "/über uns", "/über uns/", "/über uns/index.html",
        "/assets/app.js", "/assets/app.js.br", "/assets/app.js.gz", "/assets/logo.png",
        "/assets/main.0a1b2c3d.css",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("naïve f.html", "/na%C3%AFve%20f.html"),
        ("日本.html", "/%E6%97%A5%E6%9C%AC.html"),
        ("a%2fb.html", "/a%252fb.html"),
        ("a%41.html", "/a%2541.html"),
        ("a\\b.html", "/a%5Cb.html"),
        ("q?#.html", "/q%3F%23.html"),
    ],
)
def test_names_of_any_kind_are_found_by_their_encoded_path(
    root: Path, name: str, path: str
) -> None:
    put(root, name)
    encoded = "/" + quote(name, safe="")
    assert read(root).canonical(encoded) == path
    assert read(root).canonical(quote(encoded)) is None


def test_a_name_is_matched_in_the_normal_form_it_has_on_disk(root: Path) -> None:
    put(root, unicodedata.normalize("NFC", "Übung.html"))
    site = read(root)
    assert site.canonical("/%C3%9Cbung.html") == "/%C3%9Cbung.html"
    assert site.canonical("/U%CC%88bung.html") is None


@pytest.mark.parametrize(
    "path",
    ["/guide%2f", "/guide%2F", "/%2fguide/", "/guide/%00", "/guide/\0", "/guide/.", "/./guide/",
     "//guide/", "/guide//", "/GUIDE/", "/guide/%2e%2e/guide/", "/%2567uide/", "guide/", "",
     "/%ff", "/%C3", "/single", "/guide/index.html/", "/single.html/", "/" + "a" * 300,
     "/..%c0%af", "/\udcff"],
)  # fmt: skip
def test_a_path_is_in_the_index_or_it_is_nothing(docs_tree: Path, path: str) -> None:
    assert read(docs_tree, memory=0).canonical(path) is None


@pytest.mark.parametrize(
    ("folder", "path", "location"),
    [
        ("guide", "/guide", "guide/"),
        ("guide/deep", "/guide/deep", "deep/"),
        ("über uns", "/%C3%BCber%20uns", "%C3%BCber%20uns/"),
        ("a:b", "/a:b", "./a:b/"),
        ("what?", "/what%3F", "what%3F/"),
    ],
)
def test_a_folder_without_its_slash_redirects_relatively(
    root: Path, folder: str, path: str, location: str
) -> None:
    put(root, f"{folder}/index.html")
    found = read(root).lookup(path)
    assert isinstance(found, Redirect)
    assert (found.path, found.location) == (f"{path}/", location)


def test_a_folder_without_an_index_page_is_not_there(root: Path) -> None:
    put(root, "assets/app.js")
    site = read(root)
    assert (site.canonical("/assets"), site.canonical("/assets/")) == (None, None)


@pytest.mark.parametrize(
    ("glob", "public"),
    [
        ("/", {"/"}),
        ("/index.html", {"/index.html"}),
        ("/*", {"/", "/index.html", "/a.css"}),
        ("/*.css", {"/a.css"}),
        ("/**", {"/", "/index.html", "/a.css", "/x", "/x/", "/x/index.html", "/x/a.css",
                 "/x/y/a.CSS"}),
        ("/**/*.css", {"/a.css", "/x/a.css"}),
        ("/x/**", {"/x", "/x/", "/x/index.html", "/x/a.css", "/x/y/a.CSS"}),
        ("/x/*", {"/x", "/x/", "/x/index.html", "/x/a.css"}),
        ("/x/", {"/x", "/x/"}),
        ("/*/a.css", {"/x/a.css"}),
        ("/X/*", set()),
        ("/x/[a].css", set()),
        ("/?.css", set()),
    ],
)  # fmt: skip
def test_globs_open_paths_of_the_index(
    root: Path, caplog: pytest.LogCaptureFixture, glob: str, public: set[str]
) -> None:
    for name in ("a.css", "x/index.html", "x/a.css", "x/y/a.CSS"):
        put(root, name)
    site = read(root, glob)
    assert {path for path in site if getattr(site.lookup(path), "public", False)} == public
    assert ("matches no path" in caplog.text) is (not public)


def test_nothing_is_public_without_a_glob(docs_tree: Path) -> None:
    site = read(docs_tree)
    assert not any(found.public for path in site if (found := site.lookup(path)))


def codings(root: Path, name: str, memory: int) -> set[str]:
    return set(entry(read(root, memory=memory), "/" + name).variants)


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "br": (".br", partial(brotli.compress, quality=1)),
    "gzip": (".gz", gzip.compress),
}


@pytest.mark.parametrize("memory", [0, BIG])
@pytest.mark.parametrize("coding", PACKED)
def test_a_sibling_counts_only_while_it_holds_the_file(
    root: Path, caplog: pytest.LogCaptureFixture, coding: str, memory: int
) -> None:
    ending, pack = PACKED[coding]
    body = os.urandom(400_000)  # nothing that we would compress ourselves, and several reads
    put(root, "a.bin", body)
    whole = pack(body)
    for packed, holds in [
        (whole, True),
        (whole[:-1], False),
        (whole + b"x", False),
        (pack(body[:-1]), False),
        (pack(body + b"x"), False),
        (body, False),
        (b"", False),
    ]:
        caplog.clear()
        put(root, "a.bin" + ending, packed)
        assert codings(root, "a.bin", memory) == {"identity", *([coding] if holds else [])}
        assert ("stale" in caplog.text) is not holds


def test_in_memory_files_are_compressed_where_it_pays(root: Path) -> None:
    put(root, "noise.js", os.urandom(500))
    put(root, "tiny.js", b"x")
    put(root, "photo.png", b"\0" * 5000)
    assert codings(root, "index.html", BIG) == {"br", "gzip", "identity"}
    for name in ("noise.js", "tiny.js", "photo.png"):
        assert codings(root, name, BIG) == {"identity"}
    assert codings(root, "index.html", 0) == {"identity"}


def test_the_smallest_files_are_kept_in_memory_and_the_others_streamed(root: Path) -> None:
    put(root, "small.bin", b"s" * 1000)
    put(root, "large.bin", b"l" * 3000)
    site = read(root, memory=16_000)
    assert entry(site, "/small.bin").identity.body is not None
    assert entry(site, "/large.bin").identity.body is None


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_every_coding_has_a_strong_entity_tag_of_its_own(root: Path, coding: str) -> None:
    variants = entry(read(root), "/").variants
    tags = {variant.etag for variant in variants.values()}
    assert len(tags) == len(variants) == 3
    assert variants[coding].etag.startswith('"')
    put(root, "index.html", HTML.replace("words", "other").encode())
    assert entry(read(root), "/").variants[coding].etag not in tags
