"""`gate health`: asks the running gate how it is, for a container's health check.

Standard library only: a health check runs every few seconds, so it should start fast.
"""

import http.client
import socket
import ssl
from contextlib import closing
from pathlib import Path

from gate.config.settings import ServerSettings

TIMEOUT = 5
"""Seconds; container engines give a check some 30."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where to ask it


def ask(server: ServerSettings) -> str | None:
    """None when the gate answers that it is healthy, else what is wrong."""
    host = _ANY.get(server.host, server.host)
    place = f"{host} port {server.port}" if server.socket is None else str(server.socket)
    try:
        with closing(_connection(server, host)) as connection:
            connection.request("GET", "/-/healthz")
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{place} does not answer: {error}"
    return None if status == 200 else f"{place} answers with status {status}"


class _OnSocket(http.client.HTTPConnection):
    """A connection to a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _connection(server: ServerSettings, host: str) -> http.client.HTTPConnection:
    if server.socket is not None:
        return _OnSocket(server.socket)
    if server.tls_certificate is None:
        return http.client.HTTPConnection(host, server.port, timeout=TIMEOUT)
    context = ssl.create_default_context()
    # the certificate names the public host, and we ask our own machine
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, server.port, timeout=TIMEOUT, context=context)
