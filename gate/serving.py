"""Files: from an entry of the index to a response, in memory or streamed.

Content coding, conditions and ranges are decided by `negotiation`; aiohttp's file response streams
what is too large for memory.
"""

import asyncio
import os
from pathlib import Path

from aiohttp import hdrs, payload, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from gate.site.content import Variant, Variants, best
from gate.site.current import Build
from gate.site.index import Entry, Redirect
from gate.site.negotiation import (
    IDENTITY,
    Span,
    Unsatisfiable,
    acceptable,
    none_match,
    single_range,
)
from gate.site.tree import TreeProblem

SLICE = 256 * 1024
"""Bytes of a body that are handed over at a time, as aiohttp does it with files."""

PIECE = 128 * 1024
"""The same for a file that is read from disk, where whoever reads slowly holds some of them."""

_NOT_IN_304 = ("Content-Type", "Content-Encoding", "Accept-Ranges")


class Files:
    """Answers from one build of the site."""

    __slots__ = ("_making", "_policies", "lookup", "site")

    def __init__(self, build: Build) -> None:
        self.site = build.site
        self.lookup = build.site.lookup
        self._policies = build.policies
        self._making = build.making

    def redirect(self, found: Redirect, query: str) -> web.Response:
        """To the canonical path: relative, so that it holds behind a prefix, with the query."""
        location = f"{found.location}?{query}" if query else found.location
        return web.Response(
            status=301, headers={"Location": location, "Cache-Control": "private, no-cache"}
        )

    async def entry(
        self, request: web.Request, entry: Entry, *, status: int = 200
    ) -> web.StreamResponse:
        """The file of an entry under its own content security policy.

        Raises `web.HTTPNotFound` where a file that is not in memory has gone since the index was
        read.
        """
        variants = entry.content.ready or await self._made(entry)
        policy = self._policies.of(entry) or await self._policies.of_page(entry)
        response = await self._entry(request, variants, status)
        response.headers.update(policy)  # a 304 too: browsers keep what it says
        if isinstance(response, web.Response) and isinstance(response.body, Slices):
            response.headers["Content-Length"] = str(response.body.size)
        return response

    async def _made(self, entry: Entry) -> Variants:
        try:
            return await self._making.variants(entry.content)
        except (OSError, TreeProblem):
            raise web.HTTPNotFound from None

    async def _entry(
        self, request: web.Request, variants: Variants, status: int
    ) -> web.StreamResponse:
        headers = request.headers
        wants_range = status == 200 and request.method == "GET" and hdrs.RANGE in headers
        codings = (IDENTITY,) if wants_range else acceptable(headers.get("Accept-Encoding"))
        variant = best(variants, codings)
        if status == 200 and hdrs.IF_NONE_MATCH in headers:
            condition = ", ".join(headers.getall("If-None-Match"))
            if none_match(condition, variant.etag):
                return web.Response(status=304, headers=not_modified(variant))
        try:
            span = _span(request, variant) if wants_range else None
        except Unsatisfiable:
            return web.Response(
                status=416,
                headers={"Content-Range": f"bytes */{variant.size}", "Accept-Ranges": "bytes"},
            )
        if variant.body is None:
            return await self._streamed(variant, span, status)
        if span is None:
            body = in_slices(variant.body)
            return web.Response(status=status, body=body, headers=variant.headers)
        part = memoryview(variant.body)[span.first : span.last + 1]
        response = web.Response(status=206, body=in_slices(part), headers=variant.headers)
        response.headers["Content-Range"] = span.content_range
        return response

    async def _streamed(
        self, variant: Variant, span: Span | None, status: int
    ) -> web.StreamResponse:
        held = variant.held
        if held is not None:
            # the file that the index was made of, whatever has its name by now
            if not held.unchanged():
                raise web.HTTPNotFound
            return StreamedFile(held.path, variant, span, status)
        path = self.site.root / variant.file
        # aiohttp would notice it when the headers of a file stand already
        if not await asyncio.to_thread(_is_inside, self.site.root, path):
            raise web.HTTPNotFound
        return StreamedFile(path, variant, span, status)


class Slices(payload.Payload):
    """Bytes of the site that are handed to the socket piece by piece, each when the one before has
    gone: whoever reads slowly would else hold a copy of them all."""

    _value: memoryview

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The same as text, which nobody asks for."""
        return bytes(self._value).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Called by the server."""
        for start in range(0, len(self._value), SLICE):
            await writer.write(self._value[start : start + SLICE])


def in_slices(body: bytes | memoryview) -> bytes | Slices:
    """A body for a response: large ones go by pieces."""
    return Slices(memoryview(body)) if len(body) > SLICE else bytes(body)


def _is_inside(root: Path, path: Path) -> bool:
    """Whether a file is there to be read, and no link has been turned to lead out of the root."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return real.is_relative_to(root) and real.is_file() and os.access(real, os.R_OK)


def _span(request: web.Request, variant: Variant) -> Span | None:
    return single_range(
        request.headers["Range"], request.headers.get("If-Range"), variant.etag, variant.size
    )


def not_modified(variant: Variant) -> CIMultiDict[str]:
    """The headers of a 304: what a 200 would have said about caching (RFC 9110, section 15.4.5)."""
    headers = CIMultiDict(variant.headers)
    for name in _NOT_IN_304:
        headers.pop(name, None)
    return headers


class StreamedFile(web.FileResponse):
    """A file response that leaves coding, condition and range to us.

    aiohttp's own choice of coding overlooks `gzip;q=0`, its If-Range knows no entity tags, and its
    media types are the operating system's. So it is shown a request without those headers, but for
    a range that was found good.
    """

    def __init__(self, path: Path, variant: Variant, span: Span | None, status: int) -> None:
        super().__init__(path, PIECE, status=status, headers=variant.headers)
        self._variant = variant  # a held file stays open as long as it is sent
        self._seen = {"Range": f"bytes={span.first}-{span.last}"} if span else {}

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Called by the server, after every middleware."""
        writer = await super().prepare(request.clone(headers=self._seen))
        # a file that shrank while it was sent leaves the client waiting for bytes
        if request.method != "HEAD" and writer is not None and writer.length:
            self.force_close()
        return writer
