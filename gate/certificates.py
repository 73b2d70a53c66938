"""The certificate of https: shown anew when it was renewed, without a restart."""

import asyncio
import logging
import os
import ssl
from pathlib import Path

from gate.config.settings import ServerSettings
from gate.readiness import Readiness

log = logging.getLogger(__name__)

PERIOD = 10.0
"""Seconds between two looks at the files."""

CAUSE = "certificate"
"""The cause in readiness while a renewed certificate cannot be used."""


def load(server: ServerSettings, context: ssl.SSLContext) -> None:
    """Show the certificate of `[server]` from here on. Raises OSError or ValueError for files that
    cannot be used; the context is then as it was."""
    assert server.tls_certificate is not None
    # into one of its own first: what does not fit together must not be half taken over
    for each in (ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), context):
        # without a password OpenSSL would ask the terminal for that of an encrypted key
        each.load_cert_chain(server.tls_certificate, server.tls_key, password="")


class Certificates:
    """Looks after the files; an async context for as long as `context` is in use. Connections that
    stand keep the certificate they began with."""

    def __init__(
        self, server: ServerSettings, context: ssl.SSLContext | None, readiness: Readiness
    ) -> None:
        self._server = server
        self._context = context
        self._readiness = readiness
        self._task: asyncio.Task[None] | None = None
        self._seen = self._state()

    async def __aenter__(self) -> "Certificates":
        if self._context is not None:
            self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            await self.look()

    async def look(self) -> None:
        """Take over files that changed; keep what was shown where they cannot be used."""
        if self._context is None:
            return
        state = await asyncio.to_thread(self._state)
        if state == self._seen:
            return
        self._seen = state
        try:
            await asyncio.to_thread(load, self._server, self._context)
        except (OSError, ValueError) as problem:
            log.error(
                "the renewed certificate cannot be used, the one before is shown: %s", problem
            )
            self._readiness.note(CAUSE, "the renewed certificate cannot be used")
            return
        self._readiness.clear(CAUSE)
        log.info("showing the renewed certificate of %s", self._server.tls_certificate)

    def _state(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in (self._server.tls_certificate, self._server.tls_key)]


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path or "")
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
