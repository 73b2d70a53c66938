"""One request as it came over the wire, if it is plain: parsed by httptools, never by hand."""

from typing import Final

import httptools

HOST: Final = 0
USER_AGENT: Final = 1
ACCEPT_ENCODING: Final = 2
IF_NONE_MATCH: Final = 3
COOKIE: Final = 4
SITE: Final = 5
MODE: Final = 6
DEST: Final = 7
REQUEST_ID: Final = 8
FORWARDED_FOR: Final = 9
FORWARDED_PROTO: Final = 10
FORWARDED_HOST: Final = 11
FORWARDED: Final = 12
CONNECTION: Final = 13
_SLOTS: Final = 14

_OTHER_DOOR: Final = -1
_NO_MATTER: Final = -2

HEADERS: Final[dict[bytes, int]] = {
    b"host": HOST,
    b"user-agent": USER_AGENT,
    b"accept-encoding": ACCEPT_ENCODING,
    b"if-none-match": IF_NONE_MATCH,
    b"cookie": COOKIE,
    b"sec-fetch-site": SITE,
    b"sec-fetch-mode": MODE,
    b"sec-fetch-dest": DEST,
    b"x-request-id": REQUEST_ID,
    b"x-forwarded-for": FORWARDED_FOR,
    b"x-forwarded-proto": FORWARDED_PROTO,
    b"x-forwarded-host": FORWARDED_HOST,
    b"forwarded": FORWARDED,
    b"connection": CONNECTION,
    # what else bears on an answer belongs to the other door
    b"authorization": _OTHER_DOOR,
    b"content-encoding": _OTHER_DOOR,
    b"content-length": _OTHER_DOOR,
    b"expect": _OTHER_DOOR,
    b"http2-settings": _OTHER_DOOR,
    b"if-range": _OTHER_DOOR,
    b"keep-alive": _OTHER_DOOR,
    b"proxy-connection": _OTHER_DOOR,
    b"range": _OTHER_DOOR,
    b"sec-purpose": _OTHER_DOOR,
    b"te": _OTHER_DOOR,
    b"trailer": _OTHER_DOOR,
    b"traceparent": _OTHER_DOOR,
    b"tracestate": _OTHER_DOOR,
    b"transfer-encoding": _OTHER_DOOR,
    b"upgrade": _OTHER_DOOR,
}
"""The headers that are looked at, in lower case; none of the others changes an answer to a read."""

_MAX_SPELLINGS = 1024
_MAX_HEADERS = 60  # browsers send about twenty
_MAX_HEAD_BYTES = 8190  # what aiohttp takes as one line at most


class Reading:
    """Reads one request at a time; its fields hold until the next is read."""

    __slots__ = ("_begun", "_complete", "_count", "_parser", "_plain", "_spelt", "fields", "url")

    def __init__(self) -> None:
        self._spelt = dict(HEADERS)  # by the spelling that came, so that nothing is lowered twice
        self._parser = httptools.HttpRequestParser(self)
        self.url = b""
        self.fields: list[bytes | None] = []
        self._begun = self._complete = self._count = 0
        self._plain = True

    def read(self, head: bytes) -> bytes | None:
        """The method of a request that is complete with `head`, has no body and nothing odd about
        it: GET or HEAD. None for any other, which the other door may make something of."""
        if len(head) > _MAX_HEAD_BYTES:
            return None
        self.url = b""
        self.fields = [None] * _SLOTS
        self._begun = self._complete = self._count = 0
        self._plain = True
        parser = self._parser
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._parser = httptools.HttpRequestParser(self)
            return None
        if not (self._plain and self._begun == 1 and self._complete == 1):
            self._parser = httptools.HttpRequestParser(self)
            return None
        method: bytes = parser.get_method()
        if method not in (b"GET", b"HEAD") or parser.get_http_version() != "1.1":
            self._parser = httptools.HttpRequestParser(self)
            return None
        return method

    # what httptools calls

    def on_message_begin(self) -> None:
        """A request begins; a second one means that the first ended early."""
        self._begun += 1

    def on_url(self, url: bytes) -> None:
        """The request target, perhaps in pieces."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._count += 1
        slot = self._spelt.get(name)
        if slot is None:
            slot = self._new_spelling(name)
        if slot == _NO_MATTER and self._count <= _MAX_HEADERS:
            return
        if slot < 0 or self._count > _MAX_HEADERS or self.fields[slot] is not None:
            self._plain = False
        elif slot != CONNECTION or value.lower() == b"keep-alive":
            self.fields[slot] = value
        else:
            self._plain = False

    def on_body(self, body: bytes) -> None:
        """A body: no plain read has one."""
        self._plain = False

    def on_chunk_header(self) -> None:
        """A chunk: the same."""
        self._plain = False

    def on_message_complete(self) -> None:
        """The request ends."""
        self._complete += 1

    def _new_spelling(self, name: bytes) -> int:
        slot = HEADERS.get(name.lower(), _NO_MATTER)
        if len(self._spelt) < _MAX_SPELLINGS and len(name) <= 64:
            self._spelt[name] = slot
        return slot


class Counting:
    """Counts the requests in what goes to the other door, to know when none is under way."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._open = False
        self.asked = 0
        self.known = True
        """Whether the count can be trusted; where not, the connection stays with aiohttp."""

    def feed(self, data: bytes) -> None:
        """Bytes that went to the other door."""
        if not self.known:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.known = False

    def settled(self, answered: int) -> bool:
        """Whether every request came whole and was answered."""
        return self.known and not self._open and self.asked == answered

    def on_message_begin(self) -> None:
        """A request begins."""
        self._open = True

    def on_message_complete(self) -> None:
        """It ends."""
        self._open = False
        self.asked += 1
