"""What is asked for: the kinds of request that a reader's browser makes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

READERS = 1000

HOT = "hot page"

_PAGE_BYTES = 22_000
_ASSET_BYTES = 2_000

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "sec-ch-ua": '"Chromium";v="142", "Not_A Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Sec-Fetch-Site": "same-origin",
}
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "iframe",
    "Upgrade-Insecure-Requests": "1",
}
STYLESHEET = {
    "Accept": "text/css,*/*;q=0.1",
    "Sec-Fetch-Mode": "no-cors",
    "Sec-Fetch-Dest": "style",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of request, and how many rounds it takes to know its cost."""

    name: str
    path: str
    headers: dict[str, str]
    status: int = 200
    rounds: int = 5
    readers: int = 1
    """How many different readers ask in turn."""

    @property
    def conditional(self) -> bool:
        """Whether the browser has the file and asks for news of it."""
        return self.status == 304

    @property
    def slug(self) -> str:
        """The name as a file or a path can have it."""
        return self.name.replace(" ", "-").replace(",", "")


def scenarios(site: Path) -> list[Scenario]:
    """Those of a site: its page nearest to 22 kB, and its stylesheet nearest to 2 kB."""
    page = _nearest(site.rglob("index.html"), _PAGE_BYTES).parent.relative_to(site).as_posix()
    path = "/" if page == "." else f"/{page}/"
    sheet = _nearest(site.rglob("*.css"), _ASSET_BYTES).relative_to(site).as_posix()
    reading = {**BROWSER, **NAVIGATION}
    return [
        Scenario(HOT, path, reading, rounds=7),
        Scenario("304", path, reading, status=304),
        Scenario("small asset", f"/{sheet}", {**BROWSER, **STYLESHEET}),
        Scenario(f"{READERS:,} readers", path, reading, readers=READERS),
    ]


def _nearest(files: Iterable[Path], size: int) -> Path:
    return min(files, key=lambda file: (abs(file.stat().st_size - size), file))
