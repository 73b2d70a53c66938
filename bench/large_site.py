"""A site of 20,000 files: when the first answer comes after the start, and the memory."""

import contextlib
import http.client
import random
import time
from pathlib import Path

from bench.chromium import NAVIGATION
from bench.gates import running_gate
from bench.names import GATE
from bench.results import Row, Sample, Table
from bench.rounds import MIB, Rounds
from bench.servers import BenchProblem, Server, ask
from bench.stage import Stage, sign_in

NAME = "large site"
FILES = 20_000
ROUNDS = 3
_PATIENCE = 60.0
_WORDS = 600
"""In each page: with its markup some 5 kB, so that 100 MB are to be read."""

SAYS = (
    f"A site of {FILES:,} pages, of 5 kB each: from the start of the program to the first page "
    "that a reader gets; the memory is what it has once every page was read."
)


def make(folder: Path) -> Path:
    """The site; every page is another one, with a script as generators write them."""
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(5000)]
    root = folder / "large-site"
    for number in range(FILES):
        text = " ".join(chance.choices(words, k=_WORDS))
        page = root / f"part-{number // 200:03d}" / f"page-{number:05d}.html"
        if number % 200 == 0:
            page.parent.mkdir(parents=True)
        page.write_text(_page(number, text), "utf-8")
    (root / "index.html").write_text(_page(FILES, "home"), "utf-8")
    return root


def _page(number: int, text: str) -> str:
    return (
        f"<!doctype html><html lang=en><head><title>Page {number}</title>"
        '<script>var base=".";document.documentElement.className="js"</script></head>'
        f"<body><h1>Page {number}</h1><p>{text}</p></body></html>"
    )


def measure(stage: Stage, rounds: Rounds) -> Table:
    """The gate alone: what else could be asked holds no index, and reads nothing at its start."""
    site = make(stage.folder)
    paths = [f"/{page.relative_to(site).as_posix()}" for page in sorted(site.glob("part-*/*"))]
    samples: list[Sample] = []
    with stage.verify_api() as url:
        verify = f'url = "{url}"\nactive = "/active"'
        for number in range(rounds.rounds or ROUNDS):
            rounds.tell(f"{NAME}: round {number + 1}")
            begun = time.monotonic()
            with running_gate(
                stage.folder, site, rounds.cores, verify, patience=_PATIENCE
            ) as server:
                samples.append(_sample(server, paths, begun))
    return Table(NAME, SAYS, [Row(GATE, samples)], compared="first_s")


def _sample(server: Server, paths: list[str], begun: float) -> Sample:
    """A reader signs in and gets a page; then every page is read once."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)
    with contextlib.closing(connection):
        headers = {**NAVIGATION, "Cookie": sign_in(connection, 0)}
        first = 0.0
        for path in paths:
            answer = ask(connection, path, headers)
            first = first or time.monotonic() - begun
            if answer.status != 200:
                raise BenchProblem(f"the large site answers {answer.status} to {path}")
    return {"first_s": first, "rss_mib": server.resident / MIB}
