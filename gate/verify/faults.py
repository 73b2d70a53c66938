"""What a failed request was: the cause of each error that aiohttp's client raises.

Decided by types and error numbers. No text of an error is read, since it may hold the token.
"""

import errno
import ssl

import aiohttp
from aiohttp.http_exceptions import LineTooLong, TransferEncodingError

from gate.verify.cause import Cause

_CERTIFICATES = {  # OpenSSL's X509_V_ERR_…
    10: Cause.CERTIFICATE_EXPIRED,
    62: Cause.WRONG_HOST,
    64: Cause.WRONG_HOST,  # the certificate is for another IP address
}
_TLS = {  # OpenSSL's names; another version may have others, which then are `Cause.TLS`
    "WRONG_VERSION_NUMBER": Cause.NOT_TLS,
    "RECORD_LAYER_FAILURE": Cause.NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": Cause.NOT_TLS,
    "HTTP_REQUEST": Cause.NOT_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Cause.CLIENT_CERTIFICATE,
    "SSLV3_ALERT_BAD_CERTIFICATE": Cause.CLIENT_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": Cause.CLIENT_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": Cause.CLIENT_CERTIFICATE,
}


def cause_of(error: Exception) -> Cause:
    """Why a request failed that raised this."""
    match error:
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return Cause.PROXY
        case aiohttp.ClientConnectorDNSError():
            return Cause.NAME_UNKNOWN
        case aiohttp.ClientConnectorCertificateError():
            return _of_tls(error.certificate_error)
        case TimeoutError():
            return Cause.CONNECT_TIMEOUT
        case aiohttp.ClientConnectorError():
            return _of_system(error.os_error, Cause.UNREACHABLE)
        case aiohttp.ServerDisconnectedError():
            return Cause.CLOSED
        case aiohttp.ClientPayloadError():
            return Cause.BODY_BROKEN
        case aiohttp.ClientResponseError():
            return _of_parser(error.__cause__)
        case OSError():
            return _of_system(error.__cause__ or error, Cause.UNEXPECTED)
    return Cause.UNEXPECTED


def _of_parser(error: BaseException | None) -> Cause:
    """What could not be read as HTTP; the parser's own error is the cause of others."""
    while error is not None:
        if isinstance(error, LineTooLong):
            return Cause.HEADERS_TOO_LARGE
        if isinstance(error, TransferEncodingError):
            return Cause.BODY_BROKEN
        error = error.__cause__
    return Cause.NOT_HTTP


def _of_system(error: BaseException, otherwise: Cause) -> Cause:
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    match error:
        case ConnectionRefusedError():
            return Cause.REFUSED
        case ConnectionResetError() | BrokenPipeError():
            return Cause.RESET
        case OSError(errno=errno.ECONNREFUSED):  # of several addresses, each of them refused
            return Cause.REFUSED
    return otherwise


def _of_tls(error: BaseException) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, Cause.UNTRUSTED)
    if isinstance(error, ssl.SSLError):
        return _TLS.get(error.reason, Cause.TLS)
    return Cause.UNTRUSTED
