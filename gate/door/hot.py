"""Answers to hot reads: the decision from memory, the bytes prepared."""

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict, CIMultiDictProxy

from gate.access import Access
from gate.admission import RecentIntakes
from gate.door.reading import (
    ACCEPT_ENCODING,
    CONNECTION,
    COOKIE,
    DEST,
    FORWARDED_FOR,
    HOST,
    IF_NONE_MATCH,
    MODE,
    REQUEST_ID,
    SITE,
    USER_AGENT,
    Reading,
)
from gate.headers import ResponseHeaders
from gate.intake import OWN, Reader, Target, target_of
from gate.manner import Manner
from gate.observe.access_log import AccessLog, Line
from gate.proxies import Asker, Proxies, is_host
from gate.scope import Scope, new_request_id, request_id
from gate.serving import not_modified
from gate.session import SessionSeal
from gate.site.current import Build
from gate.site.index import Entry, Site, Variant
from gate.site.negotiation import none_match
from gate.site.policies import Policies
from gate.site.policy import Headers as PolicyHeaders

PREPARED: Final = 20_000
"""Header blocks kept; a site's pages in every coding, with 200 and 304."""

TARGETS: Final = 20_000
"""Request targets whose meaning is remembered, as they are spelt."""

_FORWARDING: Final = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded")
"""In the order of their fields."""

_DATE = b"\0date\0"


class HotReads:
    """What is common to all connections. `keepalive_timeout` is in seconds."""

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
        keepalive_timeout: float,
    ) -> None:
        self.keepalive_timeout = keepalive_timeout
        self._build = build
        self._access = access
        self._seal = seal
        self._reader = reader
        self._proxies = proxies
        self._recent = recent
        self._headers = headers
        self._log = log
        self._reading = Reading()
        self._cookie_name = seal.name.encode("ascii")
        self._known_site: Site | None = None
        self._targets: dict[bytes, tuple[Target, Entry]] = {}
        self._blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()
        self._unwelcome = lru_cache(maxsize=512)(
            lambda site, mode, dest: manner.unwelcome(_fetch_headers(site, mode, dest)) is not None
        )
        self._asker = lru_cache(maxsize=4096)(self._told_by)

    def answer(self, head: bytes, peer: str, scheme: str) -> list[bytes] | None:
        """The bytes of the answer to the request `head`, already in the log; None where aiohttp
        has to answer."""
        begun = time.perf_counter()
        reading = self._reading
        method = reading.read(head)
        if method is None:
            return None
        found = self._found(reading.url)
        if found is None:
            return None
        target, entry, policies = found
        fields = reading.fields
        asker = self._asker(peer, scheme, fields[HOST], *fields[FORWARDED_FOR:CONNECTION])
        if asker is None:
            return None
        if not entry.public and self._unwelcome(fields[SITE], fields[MODE], fields[DEST]):
            return None
        cookie = fields[COOKIE]
        session = None if cookie is None else self._seal.known(cookie)
        if session is None and cookie is not None and self._cookie_name in cookie:
            return None  # not opened yet, or never to be
        decision = self._access.at_once(session, public=entry.public)
        if decision is None or (entry.page and decision.session is not None):
            return None  # nothing to say yet, or a cookie to renew
        variant = entry.choose(_text_or_none(fields[ACCEPT_ENCODING]))
        policy = policies.of(entry)
        if variant.body is None or policy is None:
            return None
        if self._headers.embeds and (not entry.page or fields[IF_NONE_MATCH] is not None):
            return None  # then it matters how the request was made
        condition = fields[IF_NONE_MATCH]
        fresh = condition is not None and none_match(_text(condition), variant.etag)
        stated = fields[REQUEST_ID]
        scope = Scope(
            target.path,
            asker.address,
            asker.scheme,
            asker.host,
            begun,
            new_request_id()
            if stated is None
            else request_id((_text(stated),), trusted=asker.trusted),
            outcome=decision.outcome,
            subject=decision.subject,
        )
        agent = _text(fields[USER_AGENT])
        if session is not None:
            self._recent.take(asker.address, agent, target)
        return self._sent(method, variant, policy, scope, agent, 304 if fresh else 200)

    def _sent(
        self,
        method: bytes,
        variant: Variant,
        policy: PolicyHeaders,
        scope: Scope,
        agent: str,
        status: int,
    ) -> list[bytes]:
        block = self._block(variant, policy, status)
        body = variant.body if status == 200 and method == b"GET" else b""
        assert body is not None, "only what is in memory is hot"
        assert scope.outcome is not None
        now = self._log.now()
        self._log.note(
            Line(
                now,
                scope,
                "GET" if method == b"GET" else "HEAD",
                agent,
                status,
                len(body),
                scope.outcome.value,
                scope.subject,
                (time.perf_counter() - scope.begun) * 1000,
            )
        )
        return [block.before, _date(int(time.time())), block.after, body]

    def _found(self, url: bytes) -> tuple[Target, Entry, Policies] | None:
        """What a request target means, by the spelling that came."""
        build = self._build()
        site = build.site
        if site is not self._known_site:
            self._known_site, self._targets = site, {}
        found = self._targets.get(url)
        if found is None:
            target = target_of(url.decode("ascii", "surrogateescape"))
            if target is None or target.path.startswith(OWN):
                return None
            entry = site.lookup(target.path)
            if not isinstance(entry, Entry) or self._reader.query_tokens(target.query):
                return None
            if len(self._targets) >= TARGETS:
                self._targets.clear()
            found = self._targets[url] = (target, entry)
        return (*found, build.policies)

    def _told_by(
        self, peer: str, scheme: str, host: bytes | None, *forwarding: bytes | None
    ) -> Asker | None:
        """Who asks; None where the Host header names none, or there is none."""
        if host is None or not is_host(_text(host)):
            return None
        headers = CIMultiDict({"Host": _text(host)})
        for name, value in zip(_FORWARDING, forwarding, strict=True):
            if value is not None:
                headers[name] = _text(value)
        return self._proxies.asker(peer, CIMultiDictProxy(headers), scheme=scheme)

    def _block(self, variant: Variant, policy: PolicyHeaders, status: int) -> "_Block":
        key = (id(variant), status)
        block = self._blocks.get(key)
        if block is None or block.variant is not variant or block.policy is not policy:
            block = self._blocks[key] = self._prepare(variant, policy, status)
            if len(self._blocks) > PREPARED:
                self._blocks.popitem(last=False)
        return block

    def _prepare(self, variant: Variant, policy: PolicyHeaders, status: int) -> "_Block":
        """What aiohttp would make of the same response, in the same order."""
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
        return _Block(variant, policy, before, after)


class _Block:
    """A header block around its date. What it was made of is kept, so that it is known anew."""

    __slots__ = ("after", "before", "policy", "variant")

    def __init__(
        self, variant: Variant, policy: PolicyHeaders, before: bytes, after: bytes
    ) -> None:
        self.variant = variant
        self.policy = policy
        self.before = before
        self.after = after


def _text(value: bytes | None) -> str:
    # as aiohttp decodes them
    return "" if value is None else value.decode("utf-8", "surrogateescape")


def _text_or_none(value: bytes | None) -> str | None:
    return None if value is None else _text(value)


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return rfc822_formatted_time().encode("ascii")


def _fetch_headers(
    site: bytes | None, mode: bytes | None, dest: bytes | None
) -> CIMultiDictProxy[str]:
    names = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    return CIMultiDictProxy(
        CIMultiDict({name: _text(value) for name, value in names.items() if value is not None})
    )
