"""Folders made for one test."""

from pathlib import Path

BIG = 1 << 28
"""Bytes of memory for a site: enough for every file."""

HTML = "<title>A page</title>" + "words and words " * 40


def put(root: Path, name: str, body: bytes = b"body") -> Path:
    """Write a file and the folders it needs."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def small_site(parent: Path) -> Path:
    """A folder with an index page and nothing else."""
    return put(parent / "site", "index.html", HTML.encode("ascii")).parent
