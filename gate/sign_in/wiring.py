"""Puts signing in together: its routes, and how long its parts live."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gate.brand import Brand
from gate.clocks import Clocks
from gate.config.sign_in import QrSettings, SignInSettings
from gate.limits import FailureLimits
from gate.outcome import Outcome
from gate.scope import SCOPE, Scope
from gate.sign_in.asking import Api
from gate.sign_in.cookie import FlowCookie
from gate.sign_in.counts import SignInStatistics
from gate.sign_in.custom import CustomAuthorizer
from gate.sign_in.device import DeviceAuthorizer
from gate.sign_in.flows import Authorizer, Flows
from gate.sign_in.handlers import FlowHandlers
from gate.sign_in.neighbours import Neighbours, hand_on
from gate.sign_in.offers import OfferHandlers
from gate.sign_in.pages import PAGE, PORTAL, SignInPages
from gate.sign_in.surroundings import Surroundings

Routes = dict[str, tuple[tuple[str, ...], Handler]]
_READ: Final = ("GET", "HEAD")


class SignIn:
    """Everything under `/-/sign-in`, and the page with which `/-/sign-out` begins. `keys` are those
    of the flow cookie."""

    def __init__(
        self,
        settings: SignInSettings,
        *,
        keys: Sequence[bytes],
        brand: Brand,
        around: Surroundings,
        limits: FailureLimits,
        clocks: Clocks,
        neighbours: Neighbours,
    ) -> None:
        pages = SignInPages(settings, brand)
        self._offer = OfferHandlers(settings, pages, around)
        self._api = Api(settings.qr)
        self._flows: Flows | None = None
        self.sign_out_page: Handler = self._offer.sign_out
        self.routes: Routes = {
            PAGE: (_READ, self._offer.page),
            "/-/sign-in.js": (_READ, _file(pages.script, "text/javascript")),
            "/-/sign-in.css": (_READ, _file(pages.stylesheet, "text/css")),
        }
        if settings.portal_url:
            self.routes[PORTAL] = (_READ, self._offer.portal)
        if settings.qr.preset:
            authorizer = _authorizer(settings.qr, self._api)
            self._flows = Flows(settings.qr, authorizer, limits, clocks, neighbours.new_id)
            cookie = FlowCookie(keys, clocks.wall)
            flows = FlowHandlers(settings, pages, self._flows, cookie, around)
            at_home = partial(_at_home, neighbours, cookie)
            self.routes |= {
                "/-/sign-in/start": (("POST",), at_home(flows.start)),
                "/-/sign-in/wait": (_READ, at_home(flows.wait)),
                "/-/sign-in/events": (("GET",), at_home(flows.events)),
                "/-/sign-in/finish": (("POST",), at_home(flows.finish)),
                "/-/sign-in/cancel": (("POST",), at_home(flows.cancel)),
            }

    @property
    def statistics(self) -> Callable[[], SignInStatistics] | None:
        """What is counted; None where there are no QR codes."""
        return None if self._flows is None else self._flows.statistics

    def instead_of(
        self, request: web.Request, scope: Scope, outcome: Outcome
    ) -> web.StreamResponse | None:
        """The page that offers to sign in, where it fits better than a bare refusal."""
        return self._offer.instead_of(request, scope, outcome)

    async def stop(self, app: web.Application) -> None:
        """Connected to `on_shutdown`: streams that stayed open would hold up the end."""
        if self._flows is not None:
            await self._flows.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The connections to the authorizer, as long as the application lasts."""
        if self._flows is None:
            yield
            return
        async with self._api:
            yield
            await self._flows.close()


def _authorizer(settings: QrSettings, api: Api) -> Authorizer:
    if settings.preset == "device":
        return DeviceAuthorizer(settings, api)
    return CustomAuthorizer(settings, api)


def _at_home(neighbours: Neighbours, cookie: FlowCookie, handler: Handler) -> Handler:
    """The handler of the worker that the browser's sign-in lives in."""

    async def handle(request: web.Request) -> web.StreamResponse:
        home = neighbours.home(cookie.of(request.headers))
        answer = None if home is None else await hand_on(request, request[SCOPE], home)
        return await handler(request) if answer is None else answer

    return handle


def _file(body: bytes, kind: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": f"{kind}; charset=utf-8"})

    return handle
