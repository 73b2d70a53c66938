"""`gate check` looks at the shared tier as well, with a diagnosis for each way it fails."""

import asyncio
import socket
from pathlib import Path

import pytest

from gate.check.report import Report
from tests.checking import Check, checker
from tests.conftest import KEY
from tests.fakes import FakeApi
from tests.redis_server import PASSWORD, URL_PASSWORD, make_certificate, redis_server


@pytest.fixture
def check(api: FakeApi, docs_tree: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    return checker(api, docs_tree)


async def asked(check: Check, url: str) -> Report:
    report = await check(cache={"shared_url": url}, session={"keys": [KEY]})
    assert PASSWORD not in report.text
    assert URL_PASSWORD not in report.text
    return report


async def test_a_server_that_works_is_good(check: Check) -> None:
    async with redis_server() as server:
        report = await asked(check, server.url)
        assert report.good
        assert (
            f"shared server redis://***@127.0.0.1:{server.port}/0: reads and writes" in report.text
        )


@pytest.mark.parametrize("userinfo", ["", ":wrong@", f"nobody:{URL_PASSWORD}@"])
async def test_a_wrong_password_is_diagnosed(check: Check, userinfo: str) -> None:
    async with redis_server() as server:
        report = await asked(check, f"redis://{userinfo}127.0.0.1:{server.port}")
        assert report.problems == ["shared-server-password"]


async def test_a_user_without_rights_is_diagnosed(check: Check) -> None:
    async with redis_server() as server:
        await server.do("ACL", "SETUSER", "gate", "on", f">{PASSWORD}", "allchannels", "+subscribe")
        report = await asked(check, f"redis://gate:{URL_PASSWORD}@127.0.0.1:{server.port}")
        assert report.problems == ["shared-server-forbids"]


async def test_a_server_that_takes_no_writes_is_diagnosed(check: Check) -> None:
    async with redis_server() as server:
        await server.do("REPLICAOF", "127.0.0.1", "1")
        assert (await asked(check, server.url)).problems == ["shared-server-read-only"]


async def test_a_server_that_hangs_is_diagnosed(check: Check) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        report = await asked(check, f"redis://127.0.0.1:{listener.getsockname()[1]}")
        assert report.problems == ["shared-server-silent"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://127.0.0.1:1", "shared-server-unreachable"),
        ("redis://no-such-host.invalid", "shared-server-name-unknown"),
        ("unix:///no/such/socket", "shared-server-unreachable"),
    ],
)
async def test_a_server_that_is_not_there_is_diagnosed(check: Check, url: str, name: str) -> None:
    assert (await asked(check, url)).problems == [name]


async def test_a_certificate_that_nobody_vouches_for_is_diagnosed(
    check: Check, tmp_path: Path
) -> None:
    file = make_certificate(tmp_path)
    tls = f"--tls-port 0 --tls-cert-file {file} --tls-key-file {file} --tls-auth-clients no"
    async with redis_server(*tls.split()) as server:
        await server.do("CONFIG", "SET", "tls-ca-cert-file", str(file))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        await server.do("CONFIG", "SET", "tls-port", str(port))
        url = f"rediss://:{URL_PASSWORD}@localhost:{port}"
        assert (await asked(check, url)).problems == ["shared-server-tls"]
        assert (await asked(check, f"{url}?ssl_ca_certs={file}")).good


async def test_what_is_no_such_server_is_diagnosed(check: Check) -> None:
    async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(web_server, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        report = await asked(check, f"redis://127.0.0.1:{port}")
        assert report.problems == ["shared-server-unusable"]
