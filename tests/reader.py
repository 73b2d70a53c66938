"""A browser as far as the gate can tell: one cookie, navigations that follow redirects, assets."""

from urllib.parse import urljoin

import aiohttp

from tests.conftest import Gate
from tests.fakes import GOOD

NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "Accept-Encoding": "identity",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "iframe",
    "User-Agent": "a browser",
}
ASSET = {"Accept": "*/*", "Accept-Encoding": "identity", "Sec-Fetch-Mode": "no-cors"}


class Browser:
    """`keeps_cookies` is what its owner or maker decided; `gate` may change: it was restarted."""

    def __init__(self, gate: Gate, *, keeps_cookies: bool = True) -> None:
        self.gate = gate
        self.keeps_cookies = keeps_cookies
        self.cookie: str | None = None
        self.max_age: int | None = None
        self.path = ""

    async def open(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        """Go to a page; `path` is where the browser ended."""
        return await self._follow("GET", path, {**NAVIGATION, **headers})

    async def post(self, path: str, data: str, **headers: str) -> aiohttp.ClientResponse:
        """Send a form from one of our own pages."""
        form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.gate.origin}
        return await self._follow("POST", path, {**NAVIGATION, **form, **headers}, data)

    async def load(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        """Fetch what a page needs."""
        return await self._ask("GET", path, {**ASSET, **headers})

    async def enter(self, token: str = GOOD) -> None:
        """Come in through the portal."""
        response = await self.open(f"/?token={token}")
        assert response.status == 200, await response.text()

    async def _follow(
        self, method: str, path: str, headers: dict[str, str], data: str = ""
    ) -> aiohttp.ClientResponse:
        response = await self._ask(method, path, headers, data)
        while response.status in (301, 303):
            path = urljoin(path, response.headers["Location"])
            response = await self._ask("GET", path, NAVIGATION)
        self.path = path
        return response

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: str = ""
    ) -> aiohttp.ClientResponse:
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        response = await self.gate.request(method, path, headers={**headers, **cookie}, data=data)
        for header in response.headers.getall("Set-Cookie", ()):
            self._keep(header)
        return response

    def _keep(self, header: str) -> None:
        pair, _, attributes = header.partition(";")
        self.max_age = int(attributes.rpartition("Max-Age=")[2])
        self.cookie = pair if self.max_age and self.keeps_cookies else None
