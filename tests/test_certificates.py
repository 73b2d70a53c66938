"""A renewed certificate is shown without a restart; one that cannot be used is not."""

import asyncio
import ssl
from pathlib import Path

import pytest

from gate.certificates import Certificates
from gate.config.settings import ServerSettings
from gate.readiness import Readiness
from gate.start import server_tls
from tests.certificates import make_certificate


class Shown:
    """A server that shows a certificate, and the files that it comes from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        certificate, key = make_certificate(folder)
        self.settings = ServerSettings(tls_certificate=certificate, tls_key=key)
        self.readiness = Readiness()
        self.context = server_tls(self.settings)
        assert self.context is not None
        self.certificates = Certificates(self.settings, self.context, self.readiness)

    async def serial(self) -> int:
        """What a new client is shown."""
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=self.context)
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=trusting)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        server.close()
        return hash(shown)


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    return Shown(tmp_path)


async def test_renewed_files_are_shown_to_whoever_connects_next(shown: Shown) -> None:
    before = await shown.serial()
    await shown.certificates.look()
    assert await shown.serial() == before
    await asyncio.to_thread(make_certificate, shown.folder)
    await shown.certificates.look()
    assert await shown.serial() != before


@pytest.mark.parametrize("damage", ["another key", "no key", "not PEM"])
async def test_files_that_cannot_be_used_change_nothing_and_are_told_of(
    shown: Shown, tmp_path_factory: pytest.TempPathFactory, damage: str
) -> None:
    before = await shown.serial()
    key = shown.folder / "gate.key"
    good = key.read_bytes()
    if damage == "another key":
        _, other = await asyncio.to_thread(make_certificate, tmp_path_factory.mktemp("other"))
        key.write_bytes(other.read_bytes())
    elif damage == "no key":
        key.unlink()
    else:
        key.write_text("not PEM")
    await shown.certificates.look()
    assert await shown.serial() == before
    assert (shown.readiness.problem, bool(shown.readiness.notes)) == (None, True)
    key.write_bytes(good)
    await shown.certificates.look()
    assert await shown.serial() == before
    assert shown.readiness.notes is None
