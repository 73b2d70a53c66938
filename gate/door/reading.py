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

_MAX_SPELLINGS: Final = 1024
_MAX_HEAD_BYTES: Final = 8190  # what aiohttp takes as one line at most
_NOTHING: Final[list[bytes | None]] = [None] * _SLOTS


class Reading:
    """Reads one request at a time; `url` and `fields` hold until the next is read."""

    def __init__(self) -> None:
        self.fields = list(_NOTHING)
        self._url: list[bytes] = []
        self._complete: list[bool] = []
        self._odd: list[bool] = []
        self._called = _Called(self.fields, self._url, self._complete, self._odd)
        self._parser = httptools.HttpRequestParser(self._called)

    @property
    def url(self) -> bytes:
        """The request target."""
        return self._url[0] if len(self._url) == 1 else b"".join(self._url)

    def read(self, head: bytes) -> bytes | None:
        """The method of a request that is complete with `head`, has no body and nothing odd about
        it: GET or HEAD. None for any other, which the other door may make something of."""
        if len(head) > _MAX_HEAD_BYTES:
            return None
        self.fields[:] = _NOTHING
        self._url.clear()
        self._complete.clear()
        self._odd.clear()
        parser = self._parser
        try:
            parser.feed_data(head)
            method: bytes = parser.get_method()
            connection = self.fields[CONNECTION]
            if (
                not self._odd
                and len(self._complete) == 1  # two: the first ended before its end
                and method in (b"GET", b"HEAD")
                and (connection is None or connection.lower() == b"keep-alive")
                and parser.get_http_version() == "1.1"
            ):
                return method
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            pass
        # what it is in the middle of now is nobody's business any more
        self._parser = httptools.HttpRequestParser(self._called)
        return None


class _Called:
    """What httptools calls: functions, because attributes of an object cost a look-up each time."""

    def __init__(
        self,
        fields: list[bytes | None],
        url: list[bytes],
        complete: list[bool],
        odd: list[bool],
    ) -> None:
        spelt = dict(HEADERS)  # by the spelling that came, so that nothing is lowered twice
        known = spelt.get

        def on_header(name: bytes, value: bytes) -> None:
            slot = known(name)
            if slot is None:
                slot = HEADERS.get(name.lower(), _NO_MATTER)
                if len(spelt) < _MAX_SPELLINGS and len(name) <= 64:
                    spelt[name] = slot
            if slot >= 0 and fields[slot] is None:
                fields[slot] = value
            elif slot != _NO_MATTER:  # for the other door, or come twice
                odd.append(True)

        self.on_header = on_header
        self.on_url = url.append
        self.on_body = odd.append
        self.on_chunk_header = lambda: odd.append(True)
        self.on_message_complete = lambda: complete.append(True)


class Counting:
    """Counts the requests in what goes to the other door, to know when none is under way."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._open = False
        self.asked = self.heads = 0
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

    def on_headers_complete(self) -> None:
        """Its headers are whole."""
        self.heads += 1

    def on_message_complete(self) -> None:
        """It ends."""
        self._open = False
        self.asked += 1
