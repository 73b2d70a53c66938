"""Why the shared server is not in use: in a word for the program, and in a few for people."""

import os
import re
import socket
import ssl
from enum import Enum, unique

from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeout


@unique
class Trouble(Enum):
    """What kind of failure it is; the names are those of `gate check`."""

    SILENT = "shared-server-silent"
    UNREACHABLE = "shared-server-unreachable"
    NAME_UNKNOWN = "shared-server-name-unknown"
    TLS = "shared-server-tls"
    PASSWORD = "shared-server-password"
    FORBIDDEN = "shared-server-forbids"
    READ_ONLY = "shared-server-read-only"
    OTHER = "shared-server-unusable"


class SharedGone(ConnectionError):
    """The shared server gave no good answer in time. The message is a reason for the log."""

    def __init__(self, reason: str, trouble: Trouble = Trouble.OTHER) -> None:
        super().__init__(reason)
        self.trouble = trouble


def gone(error: BaseException) -> SharedGone:
    """The failure that an error of the client library means. Its words are of the program's
    choosing, none the server's or the URL's."""
    if isinstance(error, TimeoutError | RedisTimeout):
        return SharedGone("no answer in time", Trouble.SILENT)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SharedGone("its certificate is not trusted", Trouble.TLS)
        if isinstance(cause, ssl.SSLError):
            return SharedGone("TLS failed", Trouble.TLS)
        if isinstance(cause, socket.gaierror):
            return SharedGone("its name is not known", Trouble.NAME_UNKNOWN)
        if isinstance(cause, OSError) and cause.errno:
            return SharedGone(os.strerror(cause.errno).lower(), Trouble.UNREACHABLE)
        cause = cause.__cause__ or cause.__context__
    if type(error) is RedisConnectionError:
        return SharedGone("no connection", Trouble.UNREACHABLE)
    code = re.match(r"[A-Z]{4,20}(?= )", str(error)) if isinstance(error, ResponseError) else None
    return SharedGone(code[0] if code else type(error).__name__, _trouble(error))


def _trouble(error: BaseException) -> Trouble:
    match error:
        case AuthenticationError() | AuthenticationWrongNumberOfArgsError():
            return Trouble.PASSWORD
        case NoPermissionError():
            return Trouble.FORBIDDEN
        case ReadOnlyError() | OutOfMemoryError():
            return Trouble.READ_ONLY
    return Trouble.OTHER
