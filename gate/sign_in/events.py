"""The event stream that tells a page how its sign-in stands: a state and the seconds left."""

import asyncio
import json
from contextlib import suppress

from aiohttp import web

from gate.sign_in.flow import Flow, State
from gate.sign_in.flows import Flows

HEARTBEAT = 5.0
"""Seconds between two events at most: keeps proxies from closing the stream, and tells us whether
the page is still there."""

_GOING_ON = frozenset({State.WAITING, State.UNREACHABLE})


async def stream(request: web.Request, flows: Flows, found: Flow | State) -> web.StreamResponse:
    """Tell every change until there is nothing more to wait for, or nobody listens."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "X-Accel-Buffering": "no",  # nginx would keep events back
        }
    )
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        if isinstance(found, Flow):
            await _tell(response, flows, found)
        else:
            await response.write(_event(found, 0))
    return response


async def _tell(response: web.StreamResponse, flows: Flows, flow: Flow) -> None:
    with flows.watching(flow):
        while True:
            moved, state = flow.moved, flow.state
            await response.write(_event(state, flows.seconds_left(flow)))
            if state not in _GOING_ON:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await moved.wait()


def _event(state: State, seconds: int) -> bytes:
    data = json.dumps({"state": state.value, "seconds": seconds}, separators=(",", ":"))
    return f"event: state\ndata: {data}\n\n".encode("ascii")
