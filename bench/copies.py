"""The site as servers want it that compress nothing themselves: with compressed files beside."""

import gzip
import shutil
from pathlib import Path

import brotli

COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".txt"}


def compressed_copy(site: Path, root: Path) -> Path:
    """The site at `root`, each text also as .gz and .br, as small as these codings make it."""
    shutil.copytree(site, root)
    for file in [each for each in root.rglob("*") if each.suffix in COMPRESSED]:
        body = file.read_bytes()
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(body, 9))
        file.with_name(file.name + ".br").write_bytes(brotli.compress(body))
    return root


NOT_COPIED = {
    "accept-ranges", "connection", "content-encoding", "content-length", "content-type", "date",
    "etag", "last-modified", "server", "set-cookie", "vary",
}  # fmt: skip
"""Headers that a server makes of the file; the others are ours and are sent by everybody."""
