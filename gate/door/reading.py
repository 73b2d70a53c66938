"""One request as it came over the wire, if it is plain: parsed by httptools, never by hand."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Final, NamedTuple

import httptools

COMMON: Final = (
    b"host",
    b"user-agent",
    b"accept-encoding",
    b"sec-fetch-site",
    b"sec-fetch-mode",
    b"sec-fetch-dest",
    b"connection",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"forwarded",
)
"""The headers that many requests have in common."""

OTHER_DOOR: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"expect",
        b"http2-settings",
        b"if-range",
        b"keep-alive",
        b"proxy-connection",
        b"range",
        b"sec-purpose",
        b"te",
        b"trailer",
        b"traceparent",
        b"tracestate",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""What else bears on an answer. No header that is in none of these changes an answer to a read."""

OWN: Final = (b"cookie", b"if-none-match", b"x-request-id")
"""Those that every request has for itself."""

_NAMES: Final = frozenset((*COMMON, *OWN))
_CONNECTION: Final = COMMON.index(b"connection")
_MAX_SHAPES: Final = 1024
_MAX_SHAPE_BYTES: Final = 1024
_MAX_HEAD_BYTES: Final = 8190  # what aiohttp takes as one line at most
_MAX_RESTS: Final = 4096  # of those that repeat: 10 MB
_MAX_REST_BYTES: Final = 2048
_MAX_LINES: Final = 4096
_MAX_LINE_BYTES: Final = 512
_LINE_END: Final = b"\r\n"
_END: Final = b"\r\n\r\n"
_ABSENT: Final = b""  # no header has this name

Values = tuple[bytes | None, ...]
Request = tuple[bytes, bytes, Values, bytes | None, bytes | None, bytes | None]
"""Method (GET or HEAD), request target, the values of `COMMON` in their order, and the values of
Cookie, If-None-Match and X-Request-Id. A plain tuple, which costs least."""

Asked = tuple[bytes, bytes]
"""Method and request target."""

Rest = tuple[Values, bytes | None, bytes | None, bytes | None]
"""What of a request stands in its headers."""

Fields = dict[bytes, bytes | None]


class Shape(NamedTuple):
    """What the names of a request's headers say together."""

    plain: bool
    """False where one of them is for the other door, or came twice in two spellings."""
    common: Callable[[Fields], Values]
    """Takes the values of `COMMON` out of the headers."""
    own: Callable[[Fields], Values]
    """The same for those of `OWN`."""


class Reading:
    """Reads one request at a time.

    The parser calls nothing but C: a function of ours for every header costs as much as everything
    else it does. So it writes the headers into a mapping, and what their names mean together is
    looked up: browsers send the same ones, in the same spelling, all the time.

    For most of the files of a page a browser sends the same headers to the byte, and a site has so
    many files: so what the parser made of a request line and of a block of headers is remembered.
    """

    def __init__(self) -> None:
        self._fields: Fields = {}
        self._seen: list[bytes | None] = []
        self._shapes: dict[tuple[bytes, ...], Shape] = {}
        self._rests: dict[bytes, Rest] = {}
        self._lines: dict[bytes, Asked] = {}
        self._called = _Called(self._fields, self._seen)
        self._parser = httptools.HttpRequestParser(self._called)

    def read(self, head: bytes) -> Request | None:
        """The request that `head` is; None for any that is not plain, which the other door may make
        something of, and for several."""
        if len(head) > _MAX_HEAD_BYTES:
            return None
        line, _, block = head.partition(_LINE_END)
        rest = self._rests.get(block)
        if rest is None:
            asked = self._parse(head)
            rest = None if asked is None else self._rest(block)
        else:  # it stood behind a line that was plain, and says nothing about this one
            asked = self._lines.get(line) or self._line(line)
        if asked is None or rest is None:
            self._begin_anew()
            return None
        return *asked, *rest

    def _line(self, line: bytes) -> Asked | None:
        """What a request line says by itself; None where it is not plain."""
        asked = self._parse(line + _END)
        # a query may hold a token
        if asked is not None and len(line) <= _MAX_LINE_BYTES and b"?" not in line:
            if len(self._lines) >= _MAX_LINES:
                self._lines.clear()
            self._lines[line] = asked
        return asked

    def _parse(self, head: bytes) -> Asked | None:
        """Method and target of a plain request; its headers are in the mapping."""
        fields, seen, parser = self._fields, self._seen, self._parser
        fields.clear()
        seen.clear()
        try:
            parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        method = parser.get_method()
        if (
            len(seen) != 2  # the target and the end
            or (method != b"GET" and method != b"HEAD")
            # fewer names than lines: one came twice, or a line was none of the plain ones
            or head.count(b"\n") != len(fields) + 2
            # between two requests it says what the version says: 1.1, whatever the headers were
            or not parser.should_keep_alive()
        ):
            return None
        url = seen[0]
        assert url is not None, "a request has a target"
        return method, url

    def _rest(self, block: bytes) -> Rest | None:
        """What the headers in the mapping say, which are those in `block`; None where they are for
        the other door."""
        fields = self._fields
        names = tuple(fields)
        shape = self._shapes.get(names) or self._shape(names)
        if not shape.plain:
            return None
        fields[_ABSENT] = None
        common = shape.common(fields)
        connection = common[_CONNECTION]
        if connection is not None and connection.lower() != b"keep-alive":
            return None
        cookie, condition, stated_id = shape.own(fields)
        rest = (common, cookie, condition, stated_id)
        if len(self._rests) >= _MAX_RESTS:
            self._rests.clear()
        if len(block) <= _MAX_REST_BYTES:
            self._rests[block] = rest
        return rest

    def _begin_anew(self) -> None:
        # what the parser is in the middle of now, or at the end of, is nobody's business
        self._parser = httptools.HttpRequestParser(self._called)

    def _shape(self, names: tuple[bytes, ...]) -> Shape:
        shape = _shape(names)
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
        if sum(map(len, names)) <= _MAX_SHAPE_BYTES:
            self._shapes[names] = shape
        return shape


def _shape(names: tuple[bytes, ...]) -> Shape:
    plain = True
    spelt: dict[bytes, bytes] = {}
    for name in names:
        lower = name.lower()
        plain = plain and lower not in OTHER_DOOR and lower not in spelt
        if lower in _NAMES:
            spelt[lower] = name
    common, own = ([spelt.get(name, _ABSENT) for name in some] for some in (COMMON, OWN))
    return Shape(plain, itemgetter(*common), itemgetter(*own))


class _Called:
    """What httptools calls."""

    def __init__(self, fields: Fields, seen: list[bytes | None]) -> None:
        self.on_header = fields.setdefault
        self.on_url = seen.append
        self.on_message_complete = partial(seen.append, None)


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

    def close(self) -> None:
        """Nothing more comes. Parser and we hold each other, which only the collector would see."""
        del self._parser

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
