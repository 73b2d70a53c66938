"""A portal that tests steer: its pages, its tokens, its verify API; and two gates behind it, on
another site.

What the demo's portal cannot do, because a portal should not: show any page, refuse whoever asks,
and hand out tokens without a cookie, which a browser that blocks all cookies needs.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web

from gate.config.settings import Settings
from tests.browsers import PATIENCE, PDF, Log, gate_app, handbook, served
from tests.fakes import FakeClock

HOUR = 3600.0

Answer = Callable[[], web.Response]


@dataclass
class Portal:
    """`lifetime` is that of the tokens it hands out, in seconds; `welcome` is what its verify API
    says of them; `instead` answers a question for a token in its place."""

    clock: FakeClock
    origin: str = ""
    lifetime: float = 8 * HOUR
    welcome: bool = True
    instead: Answer | None = None
    asked: int = 0
    """How often a page asked for a token."""
    _question: threading.Condition = field(default_factory=threading.Condition)
    _ends: dict[str, float] = field(default_factory=dict)
    _pages: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def reset(self) -> None:
        """As it was at first, but for the tokens that are about."""
        self.lifetime, self.welcome, self.instead, self.asked = 8 * HOUR, True, None, 0

    def token(self) -> str:
        token = f"token-{next(self._numbers)}"
        self._ends[token] = self.clock.wall() + self.lifetime
        return token

    def page(self, html: str, *, name: str = "", **headers: str) -> str:
        """The address of a page with this HTML, in which each TOKEN is a fresh one. Underscores in
        the names of headers are hyphens."""
        name = name or f"page-{next(self._numbers)}"
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        self._pages[name] = f"<!doctype html><title>A portal</title>{html}", sent
        return f"{self.origin}/{name}"

    def wait_for(self, asked: int) -> None:
        """Until a page has asked for a token that often."""
        with self._question:
            assert self._question.wait_for(lambda: self.asked >= asked, PATIENCE), self.asked

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/token", self._token),
                web.get("/verify", self._verify),
                web.get("/{name}", self._page),
            ]
        )
        return app

    async def _token(self, request: web.Request) -> web.Response:
        with self._question:
            self.asked += 1
            self._question.notify_all()
        return self.instead() if self.instead else web.json_response({"token": self.token()})

    async def _verify(self, request: web.Request) -> web.Response:
        end = self._ends.get(request.query.get("token", ""), 0.0)
        if not self.welcome or end <= self.clock.wall():
            return web.json_response({"active": False})
        return web.json_response({"active": True, "sub": "reader", "exp": int(end)})

    async def _page(self, request: web.Request) -> web.Response:
        html, headers = self._pages.get(request.match_info["name"], ("", {}))
        while "TOKEN" in html:
            html = html.replace("TOKEN", self.token(), 1)
        return web.Response(text=html, content_type="text/html", headers=headers)


@dataclass(frozen=True, slots=True)
class Embedding:
    """The running servers. Both gates share clock and log."""

    gate: str
    cookieless: str
    """A gate with `[frame] cookieless`."""
    portal: Portal
    stranger: Portal
    """A portal that is not allowed."""
    clock: FakeClock
    log: Log

    def element(self, gate: str = "", *, path: str = "/", more: str = "", name: str = "") -> str:
        """The address of a portal's page with the element, which notes its events in `heard`."""
        html = element(gate or self.gate, path=path, more=more)
        return self.portal.page(html, name=name)


EVENTS = ("ready", "navigate", "height", "need-token", "signed-out", "cookies-blocked", "error")
STYLE = "<style>iframe { width: 100%; height: 600px }</style>"


def element(gate: str, *, path: str = "/", more: str = 'token-url="/token"') -> str:
    """HTML with the element, whose events are noted in `heard`, and what it last said in `docs`."""
    return (
        f'{STYLE}<docs-gate src="{gate}{path}" {more or "token-url=/token"}></docs-gate>'
        f"<script>var docs = document.querySelector('docs-gate'), heard = [];"
        f"for (const name of {list(EVENTS)}) docs.addEventListener(name,"
        f" ({{ detail }}) => heard.push([name, detail]))</script>"
        f'<script src="{gate}/-/embed.js"></script>'
    )


_HAND_MADE = """<iframe src="GATE/-/frame"></iframe><script>
  const heard = [];
  let port;
  const say = (message) => port.postMessage(message);
  const hear = ({ data }) => {
    heard.push([data.type, data]);
    if (data.type === "need-token") fetch("/token").then((answer) => answer.json())
      .then(({ token }) => say({ docsGate: 1, type: "token", token }));
  };
  const hello = new Promise((resolve) => addEventListener("message", (event) => {
    if (event.data.type !== "hello") return;
    port = event.ports[0];
    port.onmessage = hear;
    resolve(event.origin);
  }));
</script>"""


def hand_made(gate: str) -> str:
    """HTML that speaks to the shell without the element. It waits with `say`ing welcome."""
    return STYLE + _HAND_MADE.replace("GATE", gate)


_PLAN = """<svg xmlns="http://www.w3.org/2000/svg" width="300" height="120">
<title>A plan</title>
<image href="assets/logo.svg" width="20" height="20"/>
<a href="settings/"><text y="40">Settings</text></a>
<a href="ELSEWHERE"><text y="60">Elsewhere</text></a>
<a href="javascript:document.documentElement.toggleAttribute('ran')"><text y="80">Run</text></a>
<rect y="90" width="20" height="20" onclick="document.documentElement.toggleAttribute('ran')"/>
<script>document.documentElement.toggleAttribute("ran")</script>
<script href="assets/javascripts/ran.js"/>
</svg>"""


def with_files(root: Path, elsewhere: str) -> Path:
    """The site with what is no page: a drawing that leads on, and tries to run something; PDF."""
    (root / "plan.svg").write_text(_PLAN.replace("ELSEWHERE", elsewhere), "utf-8")
    (root / "assets" / "javascripts" / "ran.js").write_text(
        "document.documentElement.toggleAttribute('ran')", "utf-8"
    )
    (root / "sheet.pdf").write_bytes(PDF)
    return root


@contextlib.contextmanager
def embedding(
    folder: Path, *, tls: ssl.SSLContext | None = None, **sections: dict[str, Any]
) -> Iterator[Embedding]:
    """Portals on localhost and gates on 127.0.0.1, which are two sites to a browser. *folder* is
    empty and ours; the verify API is asked over http, whatever browsers use."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    ports = [listener.getsockname()[1] for listener in listeners]
    scheme = "https" if tls else "http"
    clock, log = FakeClock(), Log()
    portal = Portal(clock, f"{scheme}://localhost:{ports[2]}")
    stranger = Portal(clock, f"{scheme}://localhost:{ports[3]}")
    gates = [f"{scheme}://127.0.0.1:{port}" for port in ports[:2]]
    apps = []
    for address, cookieless in zip(gates, (False, True), strict=True):
        own = folder / ("cookieless" if cookieless else "cookies")
        frame = {"allowed_origins": (portal.origin,), "cookieless": cookieless}
        given: dict[str, dict[str, Any]] = {
            **sections,
            "server": {"state_dir": own / "state"},
            "site": {"root": with_files(handbook(own, address), portal.origin + "/elsewhere")},
            "verify": {"url": f"http://127.0.0.1:{ports[4]}/verify", "active": "/active"},
            "frame": {**frame, **sections.get("frame", {})},
        }
        apps.append(gate_app(Settings.model_validate(given), clock, log))
    apps += [portal.app(), stranger.app()]
    with (
        served([(portal.app(), listeners[4])]),
        served(list(zip(apps, listeners, strict=False)), tls=tls),
    ):
        yield Embedding(gates[0], gates[1], portal, stranger, clock, log)
