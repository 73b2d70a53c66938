"""`gate demo`: a portal, its verify API and the gate on two sites, in one process.

The gate is the one that `gate serve` runs, over sockets; only its settings are made here.
"""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import SecretStr

from gate.config.settings import (
    CacheSettings,
    FrameSettings,
    LogSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    SiteSettings,
    VerifySettings,
)
from gate.config.sign_in import QrSettings, SignInSettings
from gate.demo.phone import CLIENT
from gate.demo.portal import make_portal
from gate.listening import listening
from gate.observe.writer import LineWriter, lines_to_standard_output, logging_to_standard_error
from gate.server import run, running
from gate.signals import stop_signal
from gate.start import Prepared, prepare
from gate.state.keys import new_key

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "site", _HERE.parent.parent / "site")
"""Where the handbook lies: inside an installed package, or beside it in a checkout."""

_GREETING = """\
Docs Gate demo

  the portal      {portal}
  the docs alone  {docs}   (closed: 401)
  the phone       {portal}/phone

To try
  1. Open the portal and sign in as a colleague: the handbook opens in a frame.
  2. Sign in as a former colleague: the verify API says no.
  3. Sign in as a visitor: after a minute the next page asks again, and is refused.
  4. Open the docs alone, show the QR code, and approve it on the phone.

One line follows for every request to the gate. Ctrl-C ends everything.

"""


def main(port: int, portal_port: int) -> None:
    """Run until Ctrl-C. Raises `ServeProblem` for a taken port."""
    with (
        logging_to_standard_error("warning"),
        TemporaryDirectory(prefix="gate-demo-") as state,
        lines_to_standard_output() as output,
    ):
        prepared = prepare(demo_settings(port, portal_port, Path(state)))
        run(_serve(prepared, output, portal_port))


def demo_settings(port: int, portal_port: int, state: Path) -> Settings:
    """Two different sites to a browser: the portal is on localhost, the gate on 127.0.0.1."""
    portal, api = f"http://localhost:{portal_port}", f"http://127.0.0.1:{portal_port}/api"
    root = next((place for place in _PLACES if place.is_dir()), _PLACES[0])
    return Settings(
        server=ServerSettings(host="127.0.0.1", port=port, state_dir=state, shutdown_grace=2),
        site=SiteSettings(root=root),
        verify=VerifySettings(url=f"{api}/verify", active="/active"),
        cache=CacheSettings(ttl=30),
        session=SessionSettings(keys=(SecretStr(new_key()),)),
        frame=FrameSettings(allowed_origins=(portal,), cookieless=True),
        sign_in=SignInSettings(
            portal_url=f"{portal}/docs",
            qr=QrSettings(
                preset="device",
                client_id=CLIENT,
                device_url=f"{api}/device",
                token_url=f"{api}/token",
            ),
        ),
        log=LogSettings(format="console", subject="plain"),
    )


async def _serve(prepared: Prepared, output: LineWriter, portal_port: int) -> None:
    settings = prepared.settings
    docs = f"http://127.0.0.1:{settings.server.port}"
    portal = make_portal(docs)
    stop = stop_signal()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            listening(portal, "127.0.0.1", portal_port, key="--portal-port")
        )
        await stack.enter_async_context(running(prepared, output, key="--port"))
        output.write(_GREETING.format(portal=settings.frame.allowed_origins[0], docs=docs).encode())
        await stop.wait()
