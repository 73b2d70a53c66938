"""Real proxies in front of a gate, run with the examples of deploy/: only names, addresses and the
certificate are put in their place."""

import asyncio
import os
import shutil
import ssl
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.certificates import make_certificate
from tests.processes import PATIENCE, ROOT, free_ports

DEPLOY = ROOT / "deploy"


@dataclass
class App:
    """What the proxy protects: tells which headers came, and counts."""

    seen: list[Mapping[str, str]] = field(default_factory=list)
    port: int = 0
    status: int = 200

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request.headers.copy())
        return web.Response(status=self.status, text="the application")


@dataclass
class Front:
    """A running proxy; `url` is where browsers would find it."""

    url: str
    app: App
    tls: ssl.SSLContext | bool

    async def get(self, path: str, method: str = "GET", **headers: str) -> aiohttp.ClientResponse:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
            client.request(
                method, self.url + path, headers=headers, ssl=self.tls, allow_redirects=False
            ) as response,
        ):
            await response.read()
            return response


@asynccontextmanager
async def application() -> AsyncIterator[App]:
    app = App()
    served = web.Application()
    served.router.add_route("*", "/{any:.*}", app.handle)
    runner = web.AppRunner(served)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    app.port = runner.addresses[0][1]
    yield app
    await runner.cleanup()


def program(name: str) -> str:
    """Where a program is. Skips the test where the machine has none."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip(f"there is no {name} here: apt-get install {name}")
    return found


def put(text: str, changes: Mapping[str, str]) -> str:
    """An example with its names changed: each must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def nginx(
    folder: Path, gate_port: int, example: str = "nginx-forward-auth.conf"
) -> AsyncIterator[Front]:
    """nginx with an example, before a gate and an application."""
    (port,) = free_ports(1)
    certificate, key = make_certificate(folder)
    async with application() as app:
        text = (DEPLOY / example).read_text("utf-8")
        changes = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8080": f"127.0.0.1:{gate_port}",
            "/etc/ssl/docs.example.com.pem": str(certificate),
            "/etc/ssl/docs.example.com.key": str(key),
            "/var/log/nginx/docs.log": str(folder / "access.log"),
        }
        if "127.0.0.1:9000" in text:
            changes["127.0.0.1:9000"] = f"127.0.0.1:{app.port}"
        (folder / "example.conf").write_text(put(text, changes))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
        main = folder / "nginx.conf"
        main.write_text(
            f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr notice;\n"
            f"events {{}}\nhttp {{\n{folders}include {folder}/example.conf;\n}}\n"
        )
        trusting = ssl.create_default_context(cafile=str(certificate))
        command = (program("nginx"), "-p", str(folder), "-c", str(main), "-e", "stderr")
        async with running(command, port):
            yield Front(f"https://127.0.0.1:{port}", app, trusting)


@asynccontextmanager
async def caddy(folder: Path, gate_port: int) -> AsyncIterator[Front]:
    """Caddy with its example, before a gate and an application."""
    (port,) = free_ports(1)
    async with application() as app:
        changes = {
            "docs.example.com {": f"http://127.0.0.1:{port} {{",
            "127.0.0.1:8080": f"127.0.0.1:{gate_port}",
            "127.0.0.1:9000": f"127.0.0.1:{app.port}",
        }
        text = put((DEPLOY / "Caddyfile").read_text("utf-8"), changes)
        main = folder / "Caddyfile"
        main.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
        command = (program("caddy"), "run", "--config", str(main), "--adapter", "caddyfile")
        homes = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        async with running(command, port, **homes):
            yield Front(f"http://127.0.0.1:{port}", app, True)


@asynccontextmanager
async def running(command: tuple[str, ...], port: int, **environ: str) -> AsyncIterator[None]:
    """A program, from when it listens until the context ends."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, env={**os.environ, **environ}
    )
    assert process.stderr is not None
    said = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _listens(port):
                assert process.returncode is None, (await said).decode()
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await said


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
