"""Answers to hot reads: the decision from memory, the bytes prepared."""

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias, cast

from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict, CIMultiDictProxy

from gate.access import Access
from gate.admission import RecentIntakes
from gate.door.permits import Permits
from gate.door.reading import COMMON, Reading, Values
from gate.door.sheets import LARGEST, POSSIBLE, Sheet, Sheets
from gate.headers import ResponseHeaders
from gate.intake import OWN, Reader, Target, target_of
from gate.manner import Manner
from gate.observe.access_log import AccessLog, Line
from gate.outcome import Outcome
from gate.proxies import Proxies, is_host
from gate.scope import new_request_id, request_id
from gate.serving import SLICE, not_modified
from gate.session import SessionSeal
from gate.site.content import Variant, best
from gate.site.current import Build
from gate.site.index import Entry
from gate.site.negotiation import acceptable, none_match
from gate.site.policy import Headers as PolicyHeaders

PREPARED: Final = 4_000
"""Answers kept, a kilobyte each: what is read all the time, of a site of any size."""

TARGETS: Final = 4_000
"""Request targets whose meaning is remembered, as they are spelt; a kilobyte each, too."""

CLIENTS: Final = 4096
"""Ways to ask that are remembered: addresses, browsers, and what they load."""

_ALLOWED: Final = Outcome.ALLOWED.value
_PUBLIC: Final = Outcome.PUBLIC.value
_DATE: Final = b"\0date\0"
_line: Final = cast(Callable[[type[Line], tuple[object, ...]], Line], tuple.__new__)
"""As `Line` makes one, without a call of Python's."""


Answer: TypeAlias = tuple[bytes, bytes, bytes, bytes | Sheet]
"""A head in three parts, and the body."""


class Peer:
    """The other end of a connection. Its last request is a good guess at its next one."""

    __slots__ = ("address", "by_reference", "client", "common", "scheme")

    def __init__(self, address: str, scheme: str, *, by_reference: bool = False) -> None:
        self.address = address
        self.scheme = scheme
        self.by_reference = by_reference
        """Whether what waits to be sent is no copy."""
        self.common: Values | None = None
        self.client: _Client | None = None


class HotReads:
    """What is common to all connections. `keepalive_timeout` is in seconds, `wall` the clock of
    time limits outside this process, Unix time in seconds."""

    def __init__(
        self,
        *,
        build: Callable[[], Build],
        access: Access,
        seal: SessionSeal,
        reader: Reader,
        proxies: Proxies,
        manner: Manner,
        recent: RecentIntakes,
        headers: ResponseHeaders,
        log: AccessLog,
        wall: Callable[[], float],
        keepalive_timeout: float,
    ) -> None:
        self.keepalive_timeout = keepalive_timeout
        self.sheets = Sheets()
        self._access = access
        self._seal = seal
        self._recent = recent
        self._embeds = headers.embeds
        self._log = log
        self._wall = wall
        self._reading = Reading()
        self._answers = _Answers(headers)
        self._targets = _Targets(build, reader, self._forget)
        self._clients = _Clients(proxies, manner)
        self._cookie_name = seal.name.encode("ascii")
        self._permits = Permits()
        self._second, self._date = -1, b""

    def answer(self, head: bytes, peer: "Peer") -> "Answer | None":
        """The bytes of the answer to the request `head`, already in the log; None where aiohttp
        has to answer, or where it is several."""
        begun = time.perf_counter()
        request = self._reading.read(head)
        if request is None:
            return None
        method, url, common, cookie, condition, stated_id = request
        found = self._targets.of(url)
        if common == peer.common:
            client = peer.client
        else:
            client = peer.client = self._clients.of(peer.address, peer.scheme, common)
            peer.common = common
        if found is None or client is None or (client.unwelcome and not found.entry.public):
            return None
        wall = self._wall()
        permit = self._permits.get(cookie)
        if permit is None or not self._access.holds(permit, wall):
            decided = self._decide(cookie, found.entry, wall)
            if decided is None:
                return None
            outcome, subject, is_session = decided
        else:
            outcome, subject, is_session = _ALLOWED, permit.subject, True
        answer = found.answers.get(client.codings) or self._prepare(found, client)
        if answer is None or (self._embeds and (condition or not found.entry.page)):
            return None  # not in memory, or it matters how the request was made
        if answer.is_large and not peer.by_reference:
            return None  # whoever reads slowly would hold a copy
        if is_session:
            self._recent.take(client.address, client.agent, found.target)
        if condition is None or not (
            condition == answer.tag or none_match(_text(condition), answer.etag)
        ):
            status: int = 200
            body: bytes | Sheet = answer.body
            before, after = answer.found or self._answers.found(answer)
        else:
            status, body = 304, b""
            before, after = answer.unchanged or self._answers.unchanged(answer)
        if method == b"HEAD":
            body = b""
        if (second := int(wall)) != self._second:
            self._second, self._date = second, rfc822_formatted_time().encode("ascii")
        line = (
            wall,
            "GET" if method == b"GET" else "HEAD",
            found.target.path,
            client.scheme,
            client.address,
            client.agent,
            status,
            len(body),
            outcome,
            subject,
            new_request_id() if stated_id is None else client.request_id(stated_id),
            (time.perf_counter() - begun) * 1000,
            None,
            None,
        )
        self._log.note(_line(Line, line))
        return before, self._date, after, body

    def _forget(self) -> None:
        """The site is another one: answers hold files of the one before."""
        self._answers.clear()
        self.sheets.clear()

    def _decide(
        self, cookie: bytes | None, entry: Entry, wall: float
    ) -> tuple[str, str | None, bool] | None:
        """Outcome, subject, and whether there is a session; None where it takes more than memory to
        decide, or the cookie is to be renewed."""
        session = None
        if cookie is not None and self._cookie_name in cookie:
            permit = self._permits.pop(cookie)
            if permit is None:
                session = self._seal.look(_text(cookie))
            elif permit.after <= wall:
                session = permit.session
            if session is None:
                return None  # the other door says why
        decided = self._access.at_once(session, public=entry.public)
        if decided is None:
            return None
        decision, permit = decided
        if entry.page and decision.session is not None:
            return None
        if permit is not None and cookie is not None:
            self._permits.put(cookie, permit, time.monotonic())
        return decision.outcome.value, decision.subject, session is not None

    def _prepare(self, found: "_Found", client: "_Client") -> "_Answer | None":
        variants, policy = found.entry.content.ready, found.build.policies.of(found.entry)
        if variants is None or policy is None:
            return None
        variant = best(variants, client.codings)
        if variant.body is None or len(variant.body) > (LARGEST if POSSIBLE else SLICE):
            return None
        answer = found.answers[client.codings] = self._answers.of(variant, policy)
        return answer


class _Found(NamedTuple):
    """What a request target means."""

    build: Build
    target: Target
    entry: Entry
    answers: "dict[tuple[str, ...], _Answer]"
    """By the codings that a client accepts."""


class _Targets:
    """The meanings of request targets, by the spelling that came."""

    def __init__(
        self, build: Callable[[], Build], reader: Reader, forget: Callable[[], None]
    ) -> None:
        self._current = build
        self._reader = reader
        self._forget = forget
        self._build: Build | None = None
        self._edition = 0
        self._known: dict[bytes, _Found] = {}

    def of(self, url: bytes) -> _Found | None:
        """None where no file in the index is meant."""
        build = self._current()
        if build is not self._build or build.policies.edition != self._edition:
            self._build, self._edition = build, build.policies.edition
            self._known = {}
            self._forget()
        return self._known.get(url) or self._look_up(url, build)

    def _look_up(self, url: bytes, build: Build) -> _Found | None:
        target = target_of(url.decode("ascii", "surrogateescape"))
        if target is None or target.path.startswith(OWN):
            return None
        entry = build.site.lookup(target.path)
        if not isinstance(entry, Entry) or self._reader.query_tokens(target.query):
            return None
        if len(self._known) >= TARGETS:
            self._known.clear()
        found = self._known[url] = _Found(build, target, entry, {})
        return found


class _Client(NamedTuple):
    """Who asks and how, as far as it does not change from one request to the next."""

    address: str
    scheme: str
    trusted: bool
    agent: str
    codings: tuple[str, ...]
    """Those that are accepted, best first."""
    unwelcome: bool
    """Whether what is not public is refused to a request that is made like this."""

    def request_id(self, stated: bytes) -> str:
        return request_id((_text(stated),), trusted=self.trusted)


class _Clients:
    """Clients, by the headers that their requests have in common."""

    _NAMES = tuple(name.decode("ascii") for name in COMMON)

    def __init__(self, proxies: Proxies, manner: Manner) -> None:
        self._proxies = proxies
        self._manner = manner
        self.of = lru_cache(maxsize=CLIENTS)(self._of)

    def _of(self, peer: str, scheme: str, common: Values) -> _Client | None:
        """None for one whose requests the other door answers."""
        headers = CIMultiDictProxy(
            CIMultiDict(
                (name, _text(value))
                for name, value in zip(self._NAMES, common, strict=True)
                if value is not None
            )
        )
        if not is_host(headers.get("Host", "")):
            return None
        asker = self._proxies.asker(peer, headers, scheme=scheme)
        return _Client(
            asker.address,
            asker.scheme,
            asker.trusted,
            headers.get("User-Agent", ""),
            acceptable(headers.get("Accept-Encoding")),
            self._manner.unwelcome(headers) is not None,
        )


class _Block(NamedTuple):
    """The head of an answer around its date."""

    before: bytes
    after: bytes


class _Answer:
    """The heads of 200 and of 304, each made when it is first sent, and what they are made of."""

    __slots__ = ("body", "etag", "found", "is_large", "policy", "tag", "unchanged", "variant")

    def __init__(self, variant: Variant, policy: PolicyHeaders, body: bytes) -> None:
        self.variant = variant
        self.policy = policy
        self.etag = variant.etag
        self.tag = self.etag.encode("ascii")  # as nearly all browsers state it
        self.is_large = len(body) > SLICE
        self.body: bytes | Sheet = Sheet(body) if self.is_large else body
        self.found: _Block | None = None
        self.unchanged: _Block | None = None


class _Answers:
    """Answers, made once for every file in every coding, however it is asked for."""

    def __init__(self, headers: ResponseHeaders) -> None:
        self._headers = headers
        self._made: OrderedDict[int, _Answer] = OrderedDict()
        self._endings: dict[bytes, bytes] = {}  # few, and the same for thousands of answers

    def of(self, variant: Variant, policy: PolicyHeaders) -> _Answer:
        """The answer with a file that is in memory."""
        answer = self._made.get(id(variant))
        if answer is None or answer.variant is not variant or answer.policy is not policy:
            assert variant.body is not None, "only what is in memory is hot"
            answer = self._made[id(variant)] = _Answer(variant, policy, variant.body)
            if len(self._made) > PREPARED:
                self._made.popitem(last=False)
        return answer

    def clear(self) -> None:
        """Make them anew."""
        self._made.clear()

    def found(self, answer: _Answer) -> _Block:
        """The head of 200."""
        block = answer.found = self._block(answer.variant, answer.policy, 200)
        return block

    def unchanged(self, answer: _Answer) -> _Block:
        """The head of 304."""
        block = answer.unchanged = self._block(answer.variant, answer.policy, 304)
        return block

    def _block(self, variant: Variant, policy: PolicyHeaders, status: int) -> _Block:
        """What aiohttp would make of the same response, in the same order, before and after the
        date."""
        headers = CIMultiDict(variant.headers if status == 200 else not_modified(variant))
        headers.update(policy)
        if status == 200:
            headers["Content-Length"] = str(variant.size)
        headers["Date"] = _DATE.decode("ascii")
        headers["Server"] = ""
        self._headers.dress(headers, status)
        reason = "OK" if status == 200 else "Not Modified"
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {headers[name]}" for name in headers)]
        before, after = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8").split(_DATE)
        return _Block(before, self._endings.setdefault(after, after))


def _text(value: bytes) -> str:
    # as aiohttp decodes them
    return value.decode("utf-8", "surrogateescape")
