"""The signals that a gate heeds: those that end it, and the one that turns debugging on and off."""

import asyncio
import contextlib
import os
import signal

from gate.observe.level import LevelSwitch

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_signal() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def on(which: signal.Signals) -> None:
        if came.is_set():
            _end_by(which)
        came.set()

    for which in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C cancels instead
            loop.add_signal_handler(which, on, which)
    return came


def switch_level_by_signal() -> None:
    """SIGUSR1 turns debugging on and off."""
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has no such signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, LevelSwitch().turn)


def leash_signal(leash: int) -> asyncio.Event:
    """The same for a worker: it never ends at once by itself, because whoever signals a whole group
    of processes signals it twice. It stops too when the process that holds the leash has gone."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def gone() -> None:
        loop.remove_reader(leash)
        came.set()

    for which in _SIGNALS:
        loop.add_signal_handler(which, came.set)
    loop.add_reader(leash, gone)
    return came


def _end_by(which: signal.Signals) -> None:
    signal.signal(which, signal.SIG_DFL)
    os.kill(os.getpid(), which)
    os._exit(128 + which)  # a container's first process is not killed by its own signals
