"""Framing, caching and hardening headers, on every response the application makes.

One hook, because only `on_response_prepare` sees them all: raised errors, 304s decided while a file
is being prepared, and 500s.
"""

from aiohttp import web
from multidict import CIMultiDict

from gate.config.settings import FrameSettings, ServerSettings
from gate.scope import Scope, scope_of

NO_STORE = "no-store"
_REDIRECTS = frozenset({301, 303})
_RENEWING = frozenset({200, 304})
_HSTS = "max-age=31536000"
_COOKIELESS = {"Cache-Control": NO_STORE, "Referrer-Policy": "no-referrer"}


def frame_ancestors(frame: FrameSettings) -> str:
    """Who may frame us, as every Content-Security-Policy of ours ends. `'self'` stands beside the
    allowed origins, because browsers hold the rule against every ancestor, our own frames
    included."""
    sources = [*frame.allowed_origins, "'self'"] if frame.allowed_origins else ["'none'"]
    return "frame-ancestors " + " ".join(sources)


_OWN = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; "
)
"""Of the gate's own pages; ends with who may frame them."""


class ResponseHeaders:
    """The hook, with all that does not depend on the request made in advance."""

    def __init__(self, server: ServerSettings, frame: FrameSettings) -> None:
        self._fixed: CIMultiDict[str] = CIMultiDict(
            {
                "Server": "docs-gate",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "same-origin",
            }
        )
        self._policy = _OWN + frame_ancestors(frame)
        if server.public_url.startswith("https:"):
            self._fixed["Strict-Transport-Security"] = _HSTS
        # a page that demands this of what it embeds demands both of every frame in it
        self._embedder: dict[str, str] | None = None
        if frame.embedder_policy:
            self._embedder = {
                "Cross-Origin-Embedder-Policy": frame.embedder_policy,
                "Cross-Origin-Resource-Policy": "cross-origin",
            }

    async def on_prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Connected to `on_response_prepare`."""
        navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
        self.dress(response.headers, response.status, scope_of(request), navigates=navigates)

    @property
    def embeds(self) -> bool:
        """Whether headers depend on how a request was made, for portals with an embedder policy."""
        return self._embedder is not None

    def dress(
        self,
        headers: CIMultiDict[str],
        status: int,
        scope: Scope | None = None,
        *,
        navigates: bool = False,
    ) -> None:
        """Put them on an answer; `scope` is that of its request, which `navigates` where it opens
        a page."""
        headers.update(self._fixed)
        # files of the site come with theirs; all else is the gate's own
        headers.setdefault("Content-Security-Policy", self._policy)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # browsers hold the embedder's policy against redirects too, and against what a 304 makes of
        # a page they kept (HTML, section 7.1.4)
        if self._embedder is not None and (
            navigates
            or status in _REDIRECTS
            or headers.get("Content-Type", "").startswith("text/html")
        ):
            headers.update(self._embedder)
        if scope is not None and scope.renewal is not None and status in _RENEWING:
            headers["Set-Cookie"] = scope.renewal
        # default deny for caches too: whoever may be stored has said so
        if (
            status == 303
            or status >= 400
            or "Set-Cookie" in headers
            or "Cache-Control" not in headers
        ):
            headers["Cache-Control"] = NO_STORE
        if scope is not None and scope.cookieless:
            headers.update(_COOKIELESS)
