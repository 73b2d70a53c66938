"""What to tell of each `Cause`: data. Each name has a line in the handbook's troubleshooting page.

The fields in braces are those of `Facts` in facts.py.
"""

from collections.abc import Mapping
from typing import Final

from gate.verify.cause import Cause

_WAY: Final = "the way between gate and API: firewall, proxy, container network"

TEXTS: Final[Mapping[Cause, tuple[str, str]]] = {
    Cause.REFUSED: (
        "nobody listens at {url}",
        "start the API, or correct host and port in [verify] url; inside a container, localhost"
        " is the container itself",
    ),
    Cause.UNREACHABLE: (
        "no way leads to {url}",
        f"look at host and port in [verify] url, and at {_WAY}",
    ),
    Cause.NAME_UNKNOWN: (
        "the host in {url} has no address here",
        "correct the host in [verify] url, or this machine's name service (DNS)",
    ),
    Cause.CONNECT_TIMEOUT: (
        "no connection within [verify] connect_timeout = {connect_timeout}",
        f"look at {_WAY}; only a slow network needs a greater connect_timeout",
    ),
    Cause.UNTRUSTED: (
        "the API's certificate is by nobody whom this machine trusts",
        "name the certificate of your company's authority in [verify] ca_file; if the API sends"
        " no intermediate certificates, let it",
    ),
    Cause.CERTIFICATE_EXPIRED: (
        "the API's certificate has run out",
        "renew the API's certificate, and look at this machine's clock",
    ),
    Cause.WRONG_HOST: (
        "the API's certificate is for another host than the one in {url}",
        "put a name into [verify] url that the certificate has, or get a certificate for this one",
    ),
    Cause.NOT_TLS: (
        "what answers at {url} speaks no TLS",
        "write http:// in [verify] url if that is meant, or correct the port",
    ),
    Cause.CLIENT_CERTIFICATE: (
        "the API does not take the gate's client certificate, or misses one",
        "look at [verify] client_certificate and client_key, and at whom the API trusts",
    ),
    Cause.TLS: (
        "gate and API found no common TLS",
        "look at the API's TLS settings: TLS 1.2 or newer, a whole certificate",
    ),
    Cause.PROXY: (
        "the proxy {proxy} does not let the gate through",
        'correct [verify] proxy and the name and password in it, or set it to ""',
    ),
    Cause.SILENT: (
        "a connection, and no answer within [verify] timeout = {timeout}",
        "find out what the API waits for; only if it needs that long, raise [verify] timeout",
    ),
    Cause.BODY_SILENT: (
        "the answer began and was not whole within [verify] timeout = {timeout}",
        "let the API end its answer: a Content-Length that is right, no open stream",
    ),
    Cause.RESET: (
        "the connection was reset",
        "look whether the API's process crashed, and at the proxy in front of it",
    ),
    Cause.CLOSED: (
        "the connection was closed without an answer",
        "look at the API's own log; if it wants https, write https:// in [verify] url",
    ),
    Cause.NOT_HTTP: (
        "the answer is not HTTP as the gate can read it",
        "look at the port in [verify] url, and whether the API wants https; else mend its headers",
    ),
    Cause.HEADERS_TOO_LARGE: (
        "the answer has a header of more than 8 KiB",
        "let the API send fewer and shorter headers; the gate needs none of its cookies",
    ),
    Cause.BODY_BROKEN: (
        "the body broke off, or was not framed as HTTP wants it",
        "look at Content-Length and at the API's log; a proxy in between may cut answers off",
    ),
    Cause.BODY_TOO_LARGE: (
        "the body is larger than an answer may be",
        "look at [verify] url: this is no verdict; else let the API send {wanted} and little more",
    ),
    Cause.BODY_BOMB: (
        "the body is compressed, and unpacked larger than an answer may be",
        "let the API send {wanted}, and not compressed",
    ),
    Cause.BODY_COMPRESSED: (
        "the body says that it is compressed, and cannot be unpacked",
        "let the API or the proxy in front of it send plain answers; the gate asks for them",
    ),
    Cause.UNKNOWN_CODING: (
        "the body has a Content-Encoding that the gate did not ask for",
        "let the API or the proxy in front of it send plain answers",
    ),
    Cause.UNEXPECTED: (
        "asking failed in a way that has no name",
        f"look at the API's own log, and at {_WAY}",
    ),
    Cause.NO_CONTENT: (
        "status 204 has no body, so it is neither yes nor no",
        "answer 200 with {wanted}",
    ),
    Cause.OTHER_SUCCESS: (
        "status {status} is neither yes nor no",
        "answer 200 with {wanted}",
    ),
    Cause.REDIRECT: (
        "status {status} leads to {location}, and the gate follows no redirect",
        "if that is a sign-in page, let the API ask the gate for a key ([verify] headers) and not"
        " for a portal session; else name the final address in [verify] url",
    ),
    Cause.OTHER_REDIRECT: (
        "status {status} is neither yes nor no",
        "answer 200 with {wanted}",
    ),
    Cause.BAD_REQUEST: (
        "status {status}: the API does not understand the question",
        'compare what it wants with [verify] method = "{method}", {token}; a token that it does'
        " not know is no bad request: answer 200 with {wanted}",
    ),
    Cause.NOT_FOUND: (
        "status {status}: the API has nothing at this address, or means the token by that",
        "correct the path in [verify] url; for a token that it does not know let the API answer"
        " 200 with {wanted}, or 401",
    ),
    Cause.WRONG_METHOD: (
        "status {status}: the API does not take {method}",
        'set [verify] method to the other of "GET" and "POST"',
    ),
    Cause.WRONG_MEDIA: (
        "status {status}: the API does not take a body of this kind",
        'set [verify] token_in to "form" or "json", whichever the API reads; now {token}',
    ),
    Cause.REQUEST_TOO_LARGE: (
        "status {status}: the question is too large for the API or the proxy in front of it",
        'let tokens be shorter, or send them in a body: [verify] token_in = "form"',
    ),
    Cause.OTHER_CLIENT_ERROR: (
        "status {status} is neither yes nor no",
        "look at the API's own log; for no it must answer 200 with {wanted}, 401 or 403",
    ),
    Cause.SERVER_ERROR: (
        "status {status}: the API failed, whatever its body says",
        "look at the API's own log",
    ),
    Cause.ODD_STATUS: (
        "status {status} is none that HTTP knows",
        "answer 200 with {wanted}",
    ),
    Cause.OWN_CREDENTIALS: (
        "status {status}: it does not take the gate's own credentials",
        "look at [introspection] client_id and client_secret, or bearer, and at [verify] headers;"
        " register the gate there as a client",
    ),
    Cause.BUSY: (
        "the API asks to be left alone for {seconds}; the gate obeys for all readers",
        "let the API's rate limit take the gate's questions: one for each token in some minutes",
    ),
    Cause.EMPTY_BODY: (
        "status 200 with an empty body is neither yes nor no",
        "answer with {wanted} as JSON",
    ),
    Cause.HTML: (
        "the answer is a page for people (HTML), a sign-in or an error page perhaps",
        "correct [verify] url; let the API ask the gate for a key ([verify] headers) and not for a"
        " portal session, and answer with JSON",
    ),
    Cause.NOT_JSON: (
        "the body is not JSON",
        "answer with {wanted} as JSON: small letters, nothing before or behind, made by a JSON"
        " library",
    ),
    Cause.NOT_UTF8: (
        "the body is not UTF-8 text",
        "send JSON in UTF-8, whatever the rest of the portal uses",
    ),
    Cause.BYTE_ORDER_MARK: (
        "a byte order mark stands before the JSON",
        "save the API's source files as UTF-8 without a mark (BOM), or write the answer without it",
    ),
    Cause.NAME_TWICE: (
        "an object in the answer has the same name twice, so it may be read in two ways",
        "send each name once",
    ),
    Cause.NOT_FINITE: (
        "the answer has NaN or Infinity, which JSON does not know",
        "send a number, or leave the name out",
    ),
    Cause.TOO_DEEP: (
        "the answer is nested too deep",
        "look at [verify] url: this is no verdict",
    ),
    Cause.ACTIVE_MISSING: (
        "nothing is at [verify] active = {active}; {found}",
        "{cure}",
    ),
    Cause.ACTIVE_TEXT: (
        "a text is at [verify] active = {active}, and only true or false without quotes counts",
        "let the API send true or false without quotes; {cure}",
    ),
    Cause.ACTIVE_NUMBER: (
        "a number is at [verify] active = {active}, and only true or false counts",
        "let the API send true or false instead of 1 or 0; {cure}",
    ),
    Cause.ACTIVE_NULL: (
        "null is at [verify] active = {active}, and only true or false counts",
        "let the API send false for a token that it does not know; {cure}",
    ),
    Cause.ACTIVE_STRUCTURE: (
        "[verify] active = {active} is a whole object or list; {found}",
        "{cure}",
    ),
    Cause.SUBJECT_TYPE: (
        "what is at [verify] subject = {subject} is neither text nor a whole number",
        'point [verify] subject at the user\'s name or number, or set it to ""',
    ),
    Cause.EXPIRES_TYPE: (
        "what is at [verify] expires = {expires} is no number",
        "send seconds since 1970 as a number without quotes, leave the name out, or set [verify]"
        ' expires = ""',
    ),
    Cause.SESSION_EXPIRES_TYPE: (
        "what is at [session] expires is no number",
        "send seconds since 1970 as a number without quotes, leave the name out, or set [session]"
        ' expires = ""',
    ),
    Cause.SCOPE_TYPE: (
        '"scope" is no text',
        "send the scopes as one text with spaces between them (RFC 7662, 2.2)",
    ),
    Cause.NO_JWKS: (
        "the answer is JSON and no JWKS",
        'point [verify] url at the keys themselves, an object with a list named "keys"; the'
        ' discovery document names their address at "jwks_uri"',
    ),
    Cause.NO_USABLE_KEY: (
        "no key in it can be used: {found}",
        "publish a key for signatures, and compare it with [jwt] algorithms",
    ),
    Cause.KEY_UNKNOWN: (
        "the key that the token names is unknown, and the JWKS could not be fetched again",
        "look at the server that publishes the JWKS",
    ),
    Cause.NO_TURN: (
        "too many questions were under way, and no turn came within [verify] timeout = {timeout}",
        "make the API faster, or raise [verify] max_in_flight",
    ),
    Cause.QUEUE_FULL: (
        "too many questions were waiting",
        "make the API faster, or raise [verify] max_in_flight and max_queue",
    ),
    Cause.RESTING: (
        "not asked: after failures the gate gives the API a rest",
        "mend what is said above, then run the check again",
    ),
    Cause.REVOKED: (
        "the token was revoked while it was asked about",
        "ask again",
    ),
}
