"""Why nobody could say whether a token is good: one name for each way in which asking fails.

The names are for people: `gate check` prints them, and the handbook explains each. Decisions are
made by the member, never by the text of an error.
"""

from enum import Enum, unique


@unique
class Cause(Enum):
    """What went wrong, from the way to the API up to the claims in its answer."""

    # no connection
    REFUSED = "connection-refused"
    UNREACHABLE = "unreachable"
    NAME_UNKNOWN = "name-unknown"
    CONNECT_TIMEOUT = "no-connection-in-time"
    UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_EXPIRED = "certificate-expired"
    WRONG_HOST = "certificate-of-another-host"
    NOT_TLS = "not-tls"
    CLIENT_CERTIFICATE = "client-certificate-refused"
    TLS = "tls-failure"
    PROXY = "proxy-failure"

    # a connection, and no whole answer
    SILENT = "no-answer-in-time"
    BODY_SILENT = "body-hangs"
    RESET = "connection-reset"
    CLOSED = "closed-without-answer"
    NOT_HTTP = "not-http"
    HEADERS_TOO_LARGE = "headers-too-large"
    BODY_BROKEN = "body-broken"
    BODY_TOO_LARGE = "body-too-large"
    BODY_BOMB = "body-inflates"
    BODY_COMPRESSED = "body-compressed-badly"
    UNKNOWN_CODING = "unknown-coding"
    UNEXPECTED = "unexpected-failure"

    # a status that says neither yes nor no
    NO_CONTENT = "no-content"
    OTHER_SUCCESS = "other-2xx"
    REDIRECT = "redirect"
    OTHER_REDIRECT = "other-3xx"
    BAD_REQUEST = "bad-request"
    NOT_FOUND = "not-found"
    WRONG_METHOD = "wrong-method"
    WRONG_MEDIA = "wrong-media-type"
    REQUEST_TOO_LARGE = "request-too-large"
    OTHER_CLIENT_ERROR = "other-4xx"
    SERVER_ERROR = "server-error"
    ODD_STATUS = "odd-status"
    OWN_CREDENTIALS = "own-credentials-refused"
    BUSY = "busy"

    # a body that is not JSON
    EMPTY_BODY = "empty-body"
    HTML = "html"
    NOT_JSON = "not-json"
    NOT_UTF8 = "not-utf-8"
    BYTE_ORDER_MARK = "byte-order-mark"
    NAME_TWICE = "name-twice"
    NOT_FINITE = "not-a-number"
    TOO_DEEP = "nested-too-deep"

    # JSON that says neither yes nor no
    ACTIVE_MISSING = "active-missing"
    ACTIVE_TEXT = "active-is-text"
    ACTIVE_NUMBER = "active-is-a-number"
    ACTIVE_NULL = "active-is-null"
    ACTIVE_STRUCTURE = "active-is-an-object"
    SUBJECT_TYPE = "subject-of-wrong-type"
    EXPIRES_TYPE = "expires-of-wrong-type"
    SESSION_EXPIRES_TYPE = "session-expires-of-wrong-type"
    SCOPE_TYPE = "scope-of-wrong-type"

    # the keys of JWTs
    NO_JWKS = "not-a-jwks"
    NO_USABLE_KEY = "no-usable-key"
    KEY_UNKNOWN = "key-not-fetched"

    # the gate did not ask, or dropped the answer
    NO_TURN = "no-turn"
    QUEUE_FULL = "queue-full"
    RESTING = "resting"
    REVOKED = "revoked-meanwhile"


_STATUSES = {
    204: Cause.NO_CONTENT,
    300: Cause.OTHER_REDIRECT,
    304: Cause.OTHER_REDIRECT,
    400: Cause.BAD_REQUEST,
    401: Cause.OWN_CREDENTIALS,
    403: Cause.OWN_CREDENTIALS,
    404: Cause.NOT_FOUND,
    405: Cause.WRONG_METHOD,
    407: Cause.PROXY,
    410: Cause.NOT_FOUND,
    413: Cause.REQUEST_TOO_LARGE,
    414: Cause.REQUEST_TOO_LARGE,
    415: Cause.WRONG_MEDIA,
    422: Cause.BAD_REQUEST,
    429: Cause.BUSY,
    431: Cause.REQUEST_TOO_LARGE,
}
_CLASSES = {
    2: Cause.OTHER_SUCCESS,
    3: Cause.REDIRECT,
    4: Cause.OTHER_CLIENT_ERROR,
    5: Cause.SERVER_ERROR,
}


def of_status(status: int) -> Cause:
    """What a status means that is neither yes nor no."""
    return _STATUSES.get(status) or _CLASSES.get(status // 100, Cause.ODD_STATUS)
