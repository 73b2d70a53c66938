"""What the tests share: a site, a clock, a verify API and gates on real sockets."""

import asyncio
import base64
import functools
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from blockbuster import BlockBuster, blockbuster_ctx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gate.app import make_app
from gate.clocks import Clocks
from gate.config.settings import Settings
from gate.pages import Pages
from gate.parts import State
from gate.runner import DoorRunner
from gate.sign_in.neighbours import ALONE, Neighbours
from gate.site.index import read_site
from gate.state.journal import Journal
from gate.state.keys import Keys
from gate.state.revocations import Revocations
from tests.chromium import (  # noqa: F401 - fixtures, which pytest finds by their names
    contexts,
    open_page,
    page,
    playwright,
)
from tests.fakes import GOOD, FakeApi, FakeClock, Lines
from tests.skipping import (  # noqa: F401 - hooks, which pytest finds by their names
    pytest_make_collect_report,
    pytest_runtest_makereport,
)

DATA = Path(__file__).parent / "data" / "site"
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode("ascii")
_PAGES = functools.cache(Pages)
OTHER_KEY = base64.urlsafe_b64encode(bytes(range(1, 33))).decode("ascii")


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """A call that blocks the loop fails the test that made it."""
    with blockbuster_ctx("gate") as blockbuster:
        # into memory, and to a socket that takes what it can
        for name, function in (("io.BufferedWriter.write", "_copy"), ("os.sendfile", "send")):
            blockbuster.functions[name].can_block_in("gate/door/sheets.py", function)
        yield blockbuster


@pytest.fixture
def docs_tree(tmp_path: Path) -> Path:
    """A built site with everything that must not be served beside what must."""
    return make_docs_tree(tmp_path)


def make_docs_tree(folder: Path) -> Path:
    """The same for fixtures of a wider scope."""
    root = folder / "site"
    shutil.copytree(DATA, root)
    (root / "über uns").mkdir()
    (root / "über uns" / "index.html").write_text("<title>Über uns</title>", encoding="utf-8")
    (root / ".env").write_text("SECRET=1", encoding="utf-8")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("[core]", encoding="utf-8")
    outside = folder / "outside.txt"
    outside.write_text("not of the site", encoding="utf-8")
    (root / "leak.txt").symlink_to(outside)
    (folder / "site2").mkdir()
    (folder / "site2" / "index.html").write_text("the neighbour", encoding="utf-8")
    return root


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A verify API that says yes to `GOOD`."""
    async with running_api() as fake:
        yield fake


class GateServer(TestServer):
    """aiohttp's test server, with the fast door before it where the settings have one."""

    async def _make_runner(self, **options: Any) -> web.AppRunner:
        return DoorRunner(self.app, **options)


class Gate:
    """A running gate and a client without a cookie jar, so that tests say what they send."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession, lines: Lines) -> None:
        self.server = server
        self.lines = lines
        self._session = session
        self.host = "127.0.0.1"
        self.port: int = server.port or 0
        self.origin = f"http://127.0.0.1:{self.port}"

    async def request(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        """Send a request; the response's body is read, redirects are not followed."""
        url = self.server.make_url("/")
        target = url.with_path("/").__class__(f"{self.origin}{path}", encoded=True)
        response = await self._session.request(method, target, allow_redirects=False, **options)
        await response.read()
        return response

    def address(self, path: str) -> str:
        """Where to ask for a path."""
        return self.origin + path

    async def get(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        return await self.request("POST", path, **options)

    async def sign_in(self, token: str = GOOD) -> dict[str, str]:
        """An intake by query; returns the header that brings the session back."""
        response = await self.get(f"/?token={token}")
        assert response.status == 303, await response.text()
        return {"Cookie": cookie_of(response)}

    async def log(self) -> list[dict[str, Any]]:
        """The access log so far; stops the gate, which writes out what waits."""
        await self.server.close()
        return self.lines.entries


def cookie_of(response: aiohttp.ClientResponse) -> str:
    """The `name=value` of the one Set-Cookie header."""
    (header,) = response.headers.getall("Set-Cookie")
    return header.partition(";")[0]


MakeGate = Callable[..., Awaitable[Gate]]


@pytest.fixture
async def make_gate(docs_tree: Path, api: FakeApi, clock: FakeClock) -> AsyncIterator[MakeGate]:
    """Start a gate: `await make_gate(session={"idle_timeout": 60}, keys=[KEY])`.

    Keyword arguments are sections of the settings; the verify URL and the root have defaults.
    """
    async with AsyncExitStack() as stack:

        async def start(
            *,
            keys: tuple[str, ...] = (KEY,),
            neighbours: Neighbours = ALONE,
            **sections: dict[str, Any],
        ) -> Gate:
            settings = make_settings(api, docs_tree, **sections)
            return await stack.enter_async_context(running_gate(settings, keys, clock, neighbours))

        yield start


@asynccontextmanager
async def running_gate(
    settings: Settings, keys: tuple[str, ...], clock: FakeClock, neighbours: Neighbours = ALONE
) -> AsyncIterator[Gate]:
    """A gate for as long as the context lasts."""
    lines = Lines()
    with pytest.MonkeyPatch.context() as patch:
        # these two are nearly all of a start, and are the same every time
        patch.setattr("gate.parts.Pages", _PAGES)
        patch.setenv("SSL_CERT_FILE", os.devnull)
        # a start may read files; only what serves requests may not
        app = await asyncio.to_thread(_make, settings, Keys(keys), lines, clock, neighbours)
        server = GateServer(app)
        await server.start_server()
    async with (
        server,
        heard_by_neighbours(server, neighbours),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as client,
    ):
        yield Gate(server, client, lines)


@asynccontextmanager
async def heard_by_neighbours(server: GateServer, neighbours: Neighbours) -> AsyncIterator[None]:
    """While this lasts, other workers can hand it requests."""
    if not neighbours.places:
        yield
        return
    factory: Any = cast(DoorRunner, server.runner).server
    loop = asyncio.get_running_loop()
    place = neighbours.places[neighbours.number]
    listener = await loop.create_unix_server(factory, place)
    yield
    listener.close()
    place.unlink(missing_ok=True)
    with suppress(OSError):  # the last of them takes the folder with it
        place.parent.rmdir()


@asynccontextmanager
async def lasting_gate(
    folder: Path, **sections: dict[str, Any]
) -> AsyncIterator[tuple[Gate, FakeApi]]:
    """A gate with a site and a verify API of its own, for fixtures of a wider scope: to be shared
    by tests that leave nothing behind."""
    async with running_api() as api:
        settings = make_settings(api, make_docs_tree(folder), **sections)
        async with running_gate(settings, (KEY,), FakeClock()) as gate:
            yield gate, api


@asynccontextmanager
async def running_api() -> AsyncIterator[FakeApi]:
    """A verify API that says yes to `GOOD`, for as long as the context lasts."""
    fake = FakeApi()
    async with TestServer(fake.app()) as server:
        fake.url = str(server.make_url("/verify"))
        yield fake


def _make(
    settings: Settings, keys: Keys, lines: Lines, clock: FakeClock, neighbours: Neighbours
) -> web.Application:
    site = read_site(
        settings.site.root,
        public=settings.site.public,
        memory_bytes=settings.site.memory_mib << 20,
    )
    clocks = Clocks(clock.monotonic, clock.wall, clock.sleep)
    revocations = Revocations(
        Journal(settings.server.state_dir / "revocations"),
        lifetime=settings.session.lifetime,
        wall=clock.wall,
        monotonic=clock.monotonic,
    )
    return make_app(
        settings,
        State(site, keys, revocations),
        output=lines,
        clocks=clocks,
        neighbours=neighbours,
    )


def make_settings(api: FakeApi, root: Path, **sections: dict[str, Any]) -> Settings:
    """Settings with a verify URL and a root unless the test names its own."""
    verify = {"url": api.url, **sections.pop("verify", {})}
    site = {"root": root, **sections.pop("site", {})}
    fast = os.environ.get("GATE_TESTS_DOOR", "fast") == "fast"
    state = root.parent / "state"
    server = {"state_dir": state, "fast_door": fast, **sections.pop("server", {})}
    return Settings.model_validate({**sections, "verify": verify, "site": site, "server": server})


@pytest.fixture
async def gate(make_gate: MakeGate) -> Gate:
    """A gate with the settings' defaults."""
    return await make_gate()


@pytest.fixture(scope="session")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "self-signed.pem"
    file.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
