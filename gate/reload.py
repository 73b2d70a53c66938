"""SIGHUP: what can be changed while the gate runs is, and what cannot is named."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator

from aiohttp import web

from gate.app import LIMITS, WATCHER
from gate.certificates import Certificates
from gate.config.load import ConfigError
from gate.config.settings import Settings

log = logging.getLogger(__name__)

CHANGEABLE = (
    "log.level",
    "limits.failures_per_client",
    "limits.failures_per_address",
    "limits.failures_in_all",
)
"""The settings that SIGHUP takes over. It also reads the site and the certificate anew."""


class Reloader:
    """Listens for SIGHUP; an async context for as long as the application runs. `again` reads the
    settings; without it the signal is not listened for."""

    def __init__(
        self,
        settings: Settings,
        again: Callable[[], Settings] | None,
        app: web.Application,
        certificates: Certificates,
    ) -> None:
        self._settings = settings
        self._again = again
        self._app = app
        self._certificates = certificates
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_by_one = asyncio.Lock()

    async def __aenter__(self) -> "Reloader":
        if self._again is not None and hasattr(signal, "SIGHUP"):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._begin)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()

    def _begin(self) -> None:
        task = asyncio.create_task(self.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> None:
        """Read settings, certificate and site anew; whatever is wrong changes nothing."""
        assert self._again is not None
        async with self._one_by_one:
            try:
                settings = await asyncio.to_thread(self._again)
            except ConfigError as problem:
                log.error("SIGHUP: the settings stay as they were: %s", problem)
            else:
                self._take(settings)
            await self._certificates.look()
            await self._app[WATCHER].force()

    def _take(self, settings: Settings) -> None:
        different = list(_different(self._settings, settings))
        lasting = [name for name in different if name not in CHANGEABLE]
        if lasting:
            log.warning(
                "SIGHUP: these settings have changed, and need a restart: %s",
                ", ".join("[{}] {}".format(*name.split(".")) for name in lasting),
            )
        logging.getLogger().setLevel(settings.log.level.upper())
        self._app[LIMITS].change(settings.limits)
        taken = ["[{}] {}".format(*name.split(".")) for name in different if name in CHANGEABLE]
        # what needs a restart is named again next time, until there was one
        log_section = self._settings.log.model_copy(update={"level": settings.log.level})
        changed = {"log": log_section, "limits": settings.limits}
        self._settings = self._settings.model_copy(update=changed)
        log.info("SIGHUP: settings taken over: %s", ", ".join(taken) or "none")


def _different(before: Settings, after: Settings) -> Iterator[str]:
    for section in type(before).model_fields:
        old, new = getattr(before, section), getattr(after, section)
        for key in type(old).model_fields:
            if getattr(old, key) != getattr(new, key):
                yield f"{section}.{key}"
