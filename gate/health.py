"""`gate health`: asks the running gate how it is, for a container's health check.

Standard library only: a health check runs every few seconds, so it should start fast.
"""

import http.client
import ssl
from contextlib import closing

from gate.config.settings import ServerSettings

TIMEOUT = 5
"""Seconds; container engines give a check some 30."""

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where to ask it


def ask(server: ServerSettings) -> str | None:
    """None when the gate answers that it is healthy, else what is wrong."""
    host = _ANY.get(server.host, server.host)
    try:
        with closing(_connection(server, host)) as connection:
            connection.request("GET", "/-/healthz")
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{host} port {server.port} does not answer: {error}"
    return None if status == 200 else f"{host} port {server.port} answers with status {status}"


def _connection(server: ServerSettings, host: str) -> http.client.HTTPConnection:
    if server.tls_certificate is None:
        return http.client.HTTPConnection(host, server.port, timeout=TIMEOUT)
    context = ssl.create_default_context()
    # the certificate names the public host, and we ask our own machine
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, server.port, timeout=TIMEOUT, context=context)
