"""What is asked for: the kinds of request that a reader's browser makes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.chromium import NAVIGATION, STYLESHEET
from bench.page_load import Asked, page_load

READERS = 1000
CONNECTIONS, MANY_CONNECTIONS = 64, 2000

HOT = "hot page"
FIRST_VISIT = "first visit"

LARGE_FILE = "/bench/large.bin"
"""Put into the copy of the site that is measured."""

_MIB = 1 << 20
_PAGE_BYTES = 22_000
_ASSET_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request, and how many rounds it takes to know its cost."""

    name: str
    says: str
    """What is measured, for a reader of the table."""
    asked: tuple[Asked, ...]
    """One request, or the requests that make one load of a page."""
    conditional: bool = False
    """Whether the browser has the file and asks for news of it."""
    cold: bool = False
    """Whether every reader is new: a token in the address, the answer's redirect, the page."""
    each: str = "request"
    """What is counted."""
    readers: int = 1
    """How many different readers ask in turn."""
    connections: int = CONNECTIONS
    rounds: int = 5
    times: int = 1
    """How much longer than usual a round is."""

    @property
    def requests(self) -> int:
        """How many make one of what is counted."""
        return 2 if self.cold else len(self.asked)

    @property
    def status(self) -> int:
        """What the last answer has to be."""
        return 304 if self.conditional else 200

    @property
    def slug(self) -> str:
        """The name as a file or a path can have it."""
        return self.name.replace(" ", "-").replace(",", "")


def prepare(site: Path) -> None:
    """Put into the site what a handbook lacks: a file of 1 MB that cannot be compressed."""
    file = site / LARGE_FILE.lstrip("/")
    file.parent.mkdir()
    # the same in every run, and nothing that a coding makes smaller
    state, chunks = 1, []
    for _ in range(_MIB // 8):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        chunks.append(state.to_bytes(8, "big"))
    file.write_bytes(b"".join(chunks))


def scenarios(site: Path) -> list[Scenario]:
    """Those of a site: its page nearest to 22 kB, its stylesheet nearest to 2 kB, and so on."""
    pages = list(site.rglob("index.html"))
    path = _address(site, _nearest(pages, _PAGE_BYTES))
    large = _address(site, max(pages, key=lambda file: (file.stat().st_size, file)))
    sheet = _nearest(site.rglob("*.css"), _ASSET_BYTES).relative_to(site).as_posix()
    page = ((path, NAVIGATION),)
    asset = ((f"/{sheet}", STYLESHEET),)
    load = tuple(page_load(site, path))
    many = f"{READERS:,}"
    return [
        Scenario(HOT, "A page that one reader asks for again and again.", page, rounds=7),
        Scenario("304", "The same page; the browser has it and asks for news.", page, True),
        Scenario("small asset", "A stylesheet.", asset),
        Scenario(
            "1 MB asset",
            "A file that no coding makes smaller.",
            ((LARGE_FILE, {**STYLESHEET, "Accept": "*/*", "Sec-Fetch-Dest": "empty"}),),
        ),
        Scenario(
            "directory page",
            "The longest page of the handbook, by the address of its folder, in the best coding "
            "that each server has.",
            ((large, NAVIGATION),),
        ),
        Scenario(f"{many} readers", f"The page, by {many} readers in turn.", page, readers=READERS),
        Scenario(
            "page load",
            f"A page with all that the browser loads for it, {len(load)} requests, "
            f"by {many} readers in turn.",
            load,
            each="page load",
            readers=READERS,
        ),
        Scenario(
            FIRST_VISIT,
            "A token that nobody has seen: the verify API is asked, and the page is read.",
            page,
            cold=True,
            each="visit",
        ),
        Scenario(
            f"{MANY_CONNECTIONS:,} connections",
            f"The hot page over {MANY_CONNECTIONS:,} connections instead of {CONNECTIONS}.",
            page,
            connections=MANY_CONNECTIONS,
            times=3,  # opening them takes its time
        ),
    ]


def _address(site: Path, file: Path) -> str:
    folder = file.parent.relative_to(site).as_posix()
    return "/" if folder == "." else f"/{folder}/"


def _nearest(files: Iterable[Path], size: int) -> Path:
    return min(files, key=lambda file: (abs(file.stat().st_size - size), file))
