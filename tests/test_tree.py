"""What may be served of a folder, and what stops the start."""

import gzip
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gate.site.index import Site, read_site
from gate.site.tree import TreeProblem
from tests.trees import BIG, put, small_site


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_site(tmp_path)


def read(root: Path, *, memory: int = BIG) -> Site:
    return read_site(root, public=(), memory_bytes=memory)


@pytest.mark.parametrize("memory", [0, BIG])
def test_what_is_no_plain_file_of_the_site_is_not_in_the_index(root: Path, memory: int) -> None:
    put(root, ".htaccess")
    put(root, ".doctrees/index.pickle")
    put(root, "a/.git/config")
    put(root.parent, "outside.txt")
    put(root.parent, "site2/index.html")
    (root / "leak.txt").symlink_to("../outside.txt")
    (root / "absolute.txt").symlink_to(root.parent / "outside.txt")
    (root / "neighbour").symlink_to("../site2")
    (root / "up").symlink_to("..")
    (root / "hidden.txt").symlink_to(".htaccess")
    (root / "gone.txt").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe.html")
    os.mknod(root / "socket.html", stat.S_IFSOCK | 0o600)
    assert set(read(root, memory=memory)) == {"/", "/index.html"}


def test_links_inside_the_root_are_files_of_their_own(root: Path) -> None:
    put(root, "v2/index.html")
    (root / "latest").symlink_to("v2")
    (root / "v2" / "again").symlink_to("..")  # a circle
    (root / "copy.html").symlink_to("index.html")
    paths = set(read(root))
    assert {"/latest", "/latest/", "/copy.html"} <= paths
    assert not any("again" in path for path in paths)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything; tests in containers run as root."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.mark.parametrize("memory", [0, BIG])
@pytest.mark.parametrize("unreadable", ["a.html", "a.html.gz", "folder"])
def test_what_cannot_be_read_stops_the_start(
    root: Path, tmp_path_factory: pytest.TempPathFactory, unreadable: str, memory: int
) -> None:
    put(root, "a.html")
    put(root, "a.html.gz", gzip.compress(b"body"))
    put(root, "folder/index.html")
    for folder in (root.parent, *root.parent.parents):
        if folder.is_relative_to(tmp_path_factory.getbasetemp().parent):
            folder.chmod(0o755)
    (root / unreadable).chmod(0)
    try:
        with (
            as_nobody(),
            pytest.raises(TreeProblem, match=f"{unreadable}(?!.)|{unreadable} cannot"),
        ):
            read(root, memory=memory)
    finally:
        (root / unreadable).chmod(0o755)


@pytest.mark.parametrize("name", ["-/a.html", "-", "-/.keep"])
def test_a_site_with_something_where_our_own_urls_are_is_refused(root: Path, name: str) -> None:
    put(root, name)
    with pytest.raises(TreeProblem, match='named "-"'):
        read(root)


def test_a_folder_that_is_no_built_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TreeProblem, match=r"has no index\.html"):
        read(tmp_path)
    with pytest.raises(TreeProblem, match="cannot be read"):
        read(tmp_path / "nowhere")


def test_a_name_that_is_no_utf8_is_left_out_and_told(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (Path(os.fsdecode(os.fsencode(root) + b"/a\xff.html"))).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert set(read(root)) == {"/", "/index.html"}
    assert "no UTF-8 name" in caplog.text
